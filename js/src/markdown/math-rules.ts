/** TeX in Markdown: `$…$` and `\(…\)` in a line, `$$…$$` and `\[…\]` also as blocks. */
import type { MarkdownIt, StateBlock, StateInline } from "markdown-it";

export function mathRules(md: MarkdownIt) {
  md.block.ruler.before("fence", "formula", formula, {
    alt: ["paragraph", "reference", "blockquote", "list"],
  });
  md.inline.ruler.before("escape", "math", math);
}

const CLOSERS: Record<string, string> = { $$: "$$", "\\[": "\\]" };

/**
 * A block begins where a line begins with an opener, and ends with the line that ends with the closer, or
 * before an empty line, which TeX forbids. So whether it is one never depends on what comes later: what
 * streams in can only lengthen the last block.
 */
function formula(state: StateBlock, line: number, endLine: number, silent: boolean): boolean {
  const text = lineOf(state, line);
  if (indentOf(state, line) >= 4) return false;
  const closer = CLOSERS[text.slice(0, 2)];
  if (closer === undefined) return false;
  const first = text.slice(2);
  const at = first.indexOf(closer);
  if (at >= 0 && first.slice(at + 2).trim() !== "") return false;
  if (silent) return true;
  const lines = [at >= 0 ? first.slice(0, at) : first];
  let next = line + 1;
  let closed = at >= 0;
  for (; !closed && next < endLine; next++) {
    if (state.isEmpty(next) || indentOf(state, next) < 0) break;
    const row = lineOf(state, next).trimEnd();
    closed = row.endsWith(closer);
    lines.push(closed ? row.slice(0, -2) : row);
  }
  const token = state.push("formula", "math", 0);
  token.block = true;
  token.content = lines.join("\n").trim();
  token.markup = text.slice(0, 2);
  token.info = closed ? "closed" : "";
  token.map = [line, next];
  state.line = next;
  return true;
}

function indentOf(state: StateBlock, line: number): number {
  return (state.sCount[line] ?? 0) - state.blkIndent;
}

function lineOf({ src, bMarks, tShift, eMarks }: StateBlock, line: number): string {
  return src.slice((bMarks[line] ?? 0) + (tShift[line] ?? 0), eMarks[line]);
}

const PAIRS = [
  ["$$", "$$", true],
  ["$", "$", false],
  ["\\(", "\\)", false],
  ["\\[", "\\]", true],
] as const;

/**
 * Between where and where which closer is missing. Where there is none for one opener there is none for those behind it: not to
 * look again keeps a text of nothing but openers linear.
 */
const missing = new WeakMap<StateInline, Map<string, [from: number, max: number]>>();

function math(state: StateInline, silent: boolean): boolean {
  const { src, pos, posMax } = state;
  const pair = PAIRS.find(([opener]) => src.startsWith(opener, pos));
  if (!pair) return false;
  const [opener, closer, display] = pair;
  const from = pos + opener.length;
  const none = missing.get(state)?.get(closer);
  if (none && none[0] <= from && posMax <= none[1]) return false;
  const to = closerAt(src, closer, from, posMax);
  if (to < 0) {
    missing.set(state, (missing.get(state) ?? new Map()).set(closer, [from, posMax]));
    return false;
  }
  const tex = src.slice(from, to);
  if (tex.trim() === "" || (opener === "$" && !isMath(tex, src[to + 1]))) return false;
  if (!silent) {
    const token = state.push("math", "math", 0);
    token.content = tex.trim();
    token.info = display ? "display" : "";
  }
  state.pos = to + closer.length;
  return true;
}

function closerAt(src: string, closer: string, from: number, max: number): number {
  for (let at = src.indexOf(closer, from); at >= 0 && at < max; at = src.indexOf(closer, at + 1)) {
    let slashes = 0;
    while (src[at - 1 - slashes] === "\\" && at - 1 - slashes >= from) slashes++;
    if (slashes % 2 === 0) return at + closer.length <= max ? at : -1;
  }
  return -1;
}

/** As pandoc: no space inside the dollars, and no digit after them, so that prices stay prices. */
function isMath(tex: string, after: string | undefined): boolean {
  return !/^\s|\s$/.test(tex) && !/\d/.test(after ?? "");
}
