import type { Block, Inline } from "./syntax";

const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT =
  /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u;

/**
 * The direction of a block by its first letter, as `dir="auto"` finds it. A list or a table needs it said: `auto` does not
 * look into paragraphs that have a direction of their own, and the bullets or columns would stand on the wrong side.
 */
export function directionOf(block: Block): "rtl" | "ltr" | "auto" {
  const letter = firstLetter(
    block.type === "table" ? { children: block.head.cells.flat() } : block,
  );
  if (letter === undefined) return "auto";
  return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}

function firstLetter(node: Block | Inline | { children: unknown[] }): string | undefined {
  if (typeof node === "string") return LETTER.exec(node)?.[0];
  if (!("children" in node)) return undefined;
  for (const child of node.children) {
    const letter = firstLetter(child as Block | Inline);
    if (letter !== undefined) return letter;
  }
  return undefined;
}
