/** What of a long block that still grows is final: it is not parsed again, only what follows it. */
import type { Parsed, ReadInline } from "./parser";
import type { Block, Inline } from "./syntax";

/** Below this a block is parsed as a whole. */
export const LONG = 1_500;

/** markdown-it fills no more empty cells than this into a table, so a table of more is parsed as a whole. */
const MAX_CELLS = 0x10000;

export interface Cut {
  /** The source up to here is final. */
  end: number;
  /** What the source after it needs before it, to read as the same block. */
  prefix: string;
}

/** Where `block`, the only one in `lines`, can be cut: complete lines of code, rows, items of a list. */
export function cutLines(block: Parsed, lines: string): Cut | null {
  const context = { fence: 1, table_open: 2 }[block.tokens[0]?.type ?? ""];
  const at = context ? block.to - 2 : lastItem(block);
  if (at <= block.from + (context ?? 0)) return null;
  const begin = offsetOf(lines, block.from);
  const end = offsetOf(lines, at);
  if (context) return { end, prefix: lines.slice(begin, offsetOf(lines, block.from + context)) };
  // Of an indented item its place in the list depends on the one before it.
  const marker = /^(?:[-+*]|\d+[.)])/.exec(lines.slice(end))?.[0];
  // Only by paragraphs a list shows whether it is tight, so an item with one stands for those before.
  return marker ? { end, prefix: `${marker} x\n` } : null;
}

/**
 * Whether `next` may turn out to be more of `block`: the title of a definition at the end of a list or a quote may
 * begin on the next line and go on for some, and only when it ends it is one.
 */
export function mayContinue(block: Parsed, next: Parsed | undefined): boolean {
  const holds = /^(?:bullet_list|ordered_list|blockquote)_open$/.test(block.tokens[0]?.type ?? "");
  return holds && next?.from === block.to && /^["'(]/.test(next.tokens[1]?.content ?? "");
}

function lastItem({ tokens }: Parsed): number {
  const [list] = tokens;
  if (list?.type !== "bullet_list_open" && list?.type !== "ordered_list_open") return -1;
  return tokens.findLast((t) => t.type === "list_item_open" && t.level === 1)?.map?.[0] ?? -1;
}

export function offsetOf(text: string, line: number): number {
  let end = 0;
  for (let i = 0; i < line; i++) end = text.indexOf("\n", end) + 1 || text.length;
  return end;
}

/** Text that may become something else by what follows it; an underscore inside a word does not. */
const UNDECIDED = /[`*~[\]$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/;
const TRIES = 6;

/**
 * Where `block`, a paragraph alone in `source`, can be cut: between two words, where all before is decided. Nothing
 * before is open then, so the text after it reads as it would alone.
 */
export function cutWords(block: Parsed, source: string, inline: ReadInline): Cut | null {
  const [open, text] = block.tokens;
  const content = text?.content ?? "";
  // At `[` it may be a definition that is not complete.
  if (open?.type !== "paragraph_open" || content.startsWith("[")) return null;
  for (let i = 0; i < TRIES; i++) {
    const end = wordBefore(content, Math.floor(content.length * (1 - i / TRIES)));
    if (end > 0 && isDecided(content.slice(0, end), inline)) {
      return { end: source.indexOf(content) + end, prefix: "" };
    }
  }
  return null;
}

/** Where a word or its code begins; three ticks would begin a block. */
const WORD = /[\p{L},.;:`] (?=\p{L}|`{1,2}[^`])/gu;

/** Where the last word that begins before `at` does; 0 if none is near. */
function wordBefore(content: string, at: number): number {
  const from = Math.max(0, at - 200);
  const found = [...content.slice(from, at).matchAll(WORD)].at(-1);
  return found ? from + found.index + found[0].length : 0;
}

function isDecided(head: string, inline: ReadInline): boolean {
  // A bar may make the line the first row of a table.
  const line = head.slice(head.lastIndexOf("\n") + 1);
  return !line.includes("|") && !/\\[([]/.test(head) && !inline(head).some(hasUndecided);
}

function hasUndecided(node: Inline): boolean {
  if (typeof node === "string") return UNDECIDED.test(node);
  return "children" in node && node.children.some(hasUndecided);
}

/** The block of which `part` is what was cut off and `rest` what follows; null if the cut was wrong. */
export function joined(part: Block, rest: Block): Block | null {
  if (part.type === "fence" && rest.type === "fence") {
    return { ...part, text: `${part.text}\n${rest.text}` };
  }
  if (part.type === "table" && rest.type === "table") {
    const children = [...part.children, ...rest.children];
    return children.length * part.align.length < MAX_CELLS ? { ...part, children } : null;
  }
  if (part.type === "list" && rest.type === "list" && hasParagraph(part)) {
    const tight = part.tight && rest.tight;
    return { ...part, tight, children: [...part.children, ...rest.children.slice(1)] };
  }
  if (part.type === "paragraph" && (rest.type === "paragraph" || rest.type === "heading")) {
    return { ...rest, children: joinedText(part.children, rest.children) };
  }
  return null;
}

/** Only by the paragraphs in its items a list shows whether it is tight. */
function hasParagraph(list: Block & { type: "list" }): boolean {
  return list.children.some((item) => item.children.some((block) => block.type === "paragraph"));
}

export function joinedText(part: Inline[], rest: Inline[]): Inline[] {
  const [last, first] = [part.at(-1), rest[0]];
  if (typeof last !== "string" || typeof first !== "string") return [...part, ...rest];
  return [...part.slice(0, -1), last + first, ...rest.slice(1)];
}
