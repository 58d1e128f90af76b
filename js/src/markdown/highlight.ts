import { type ShjToken, tokenizeWith } from "@speed-highlight/core/tokenize";
import { grammarOf, languages } from "./languages";

/** A longer piece, such as one line of minified code, stays plain: colouring it would hold the page up. */
export const HIGHLIGHT_LIMIT = 8_000;

export type Piece = [text: string, kind: ShjToken | ""];

/** Code in pieces with what each is; together they are the code. Null if the language is not known. */
export function highlight(code: string, language: string): Piece[] | null {
  const grammar = grammarOf(language);
  if (!grammar || code.length > HIGHLIGHT_LIMIT) return null;
  const pieces: Piece[] = [];
  const add = (text: string, kind: ShjToken | "" = "") => {
    const last = pieces.at(-1);
    if (last?.[1] === kind) last[0] += text;
    else if (text !== "") pieces.push([text, kind]);
  };
  tokenizeWith(code, grammar, add, { languages });
  return pieces;
}
