import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseMarkdown } from "../../src/markdown/parser";
import { StreamingDocument } from "../../src/markdown/streaming";
import type { List } from "../../src/markdown/syntax";
import { replyOf } from "../support/replies";

/** Pieces that Markdown's blocks are made of, and what makes them end, change or join. */
const PIECES = [
  "\n",
  "\n\n",
  " ",
  "  ",
  "    ",
  "\t",
  "a",
  "word ",
  "**",
  "*",
  "_",
  "`",
  "``",
  "```",
  "```py\n",
  "~~~\n",
  "~~",
  "# ",
  "## h\n",
  "===\n",
  "---\n",
  "-",
  "- ",
  "- [ ] ",
  "- [x] ",
  "* ",
  "+ ",
  "1. ",
  "2) ",
  "> ",
  ">",
  "|",
  "| a | b |\n",
  "|---|:-:|\n",
  "--|--\n",
  "a | b\n",
  "[a]",
  "[a]: https://x.org\n",
  "[a]:\n",
  "https://x.org/a_b",
  "'title'",
  '"tit\nle"\n',
  "[a](https://x.org)",
  "[b][a]",
  "![a](https://x.org/i.png)",
  "<b>",
  "<!-- ",
  "&amp;",
  "\\",
  "$",
  "$$",
  "$$\n",
  "x^2",
  "\\(",
  "\\)",
  "\\[",
  "\\]",
  "\r\n",
  "\r",
  "\0",
  "and so on, *that* is ",
  "- item\n",
  "1. item\n",
  "```\ncode\n\ncode\n",
  "🙂",
  "שלום",
];

/** Found by chance. */
const FOUND = ['+ [a]: https://x.org\n"tit\nle"\n', '> [a]: https://x.org\n"tit\nle"\n\nword'];

const text = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 40 })
  .map((pieces) => pieces.join(""));

function treeOf(document: StreamingDocument) {
  return document.entries.map((entry) => entry.node);
}

function listOf(document: StreamingDocument): List {
  const node = document.entries[0]?.node;
  if (node?.type !== "list") throw new Error("no list");
  return node;
}

describe.each([undefined, 1, 12])("a text that streams in (long blocks from %s on)", (long) => {
  it("has at each moment the tree of the whole, however it is split", () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(200), { maxLength: 12 }), (whole, cuts) => {
        const document = new StreamingDocument(long);
        const ends = [...new Set([...cuts.map((n) => n % (whole.length + 1)), whole.length])];
        for (const end of ends.sort((a, b) => a - b)) {
          document.update(whole.slice(0, end), true);
          document.update(whole.slice(0, end));
          expect(treeOf(document)).toEqual(parseMarkdown(whole.slice(0, end)));
        }
      }),
      { numRuns: 400, seed: 20260801 },
    );
  });

  it("has the tree of the whole when it comes character by character", () => {
    fc.assert(
      fc.property(text, (whole) => {
        const document = new StreamingDocument(long);
        for (let end = 1; end <= whole.length; end++) document.update(whole.slice(0, end), true);
        document.update(whole);
        expect(treeOf(document)).toEqual(parseMarkdown(whole));
      }),
      { numRuns: 200, seed: 20260802, examples: FOUND.map((whole) => [whole]) },
    );
  });
});

describe("the work for a text that streams in", () => {
  const whole = replyOf(30);
  const STEP = 12;

  it("is proportional to what is new: no block that is complete is read again", () => {
    const document = new StreamingDocument();
    for (let end = STEP; end <= whole.length; end += STEP)
      document.update(whole.slice(0, end), true);
    document.update(whole);
    const blocks = document.entries.length;
    expect(blocks).toBe(30 * 7);
    expect(document.work.readBlocks).toBeLessThanOrEqual(blocks);
    // Each delta parses the block that it belongs to, never more than the longest one.
    expect(document.work.parsedCharacters / (whole.length / STEP)).toBeLessThan(600);
  });

  it("is the same late as early", () => {
    const document = new StreamingDocument();
    const costs: number[] = [];
    let before = 0;
    for (let end = STEP; end <= whole.length; end += STEP) {
      document.update(whole.slice(0, end), true);
      costs.push(document.work.parsedCharacters - before);
      before = document.work.parsedCharacters;
    }
    const worst = (part: number[]) => Math.max(...part);
    const period = Math.ceil(whole.length / 30 / STEP);
    expect(worst(costs.slice(-2 * period))).toBeLessThan(1.2 * worst(costs.slice(0, 2 * period)));
  });

  it("keeps the nodes of complete blocks, which are then not rendered again", () => {
    const document = new StreamingDocument();
    const half = replyOf(2);
    document.update(half, true);
    const before = document.entries.slice(0, document.settledCount).map((e) => e.node);
    document.update(half + whole, true);
    const after = document.entries.map((e) => e.node);
    expect(before.length).toBeGreaterThan(10);
    before.forEach((node, i) => {
      expect(after[i]).toBe(node);
    });
  });

  it("keeps the nodes of complete items of an open list", () => {
    const document = new StreamingDocument();
    document.update("- one\n- two\n- th", true);
    const before = listOf(document);
    document.update("- one\n- two\n- three", true);
    const after = listOf(document);
    expect(after).not.toBe(before);
    expect(after.children.map((item, i) => item === before.children[i])).toEqual([
      true,
      true,
      false,
    ]);
  });

  it.each([
    ["block of code", "```python\n", (i: number) => `x = f(${i})  # comment\n`],
    ["table", "| a | b |\n|---|---|\n", (i: number) => `| row ${i} | **${i}** |\n`],
    ["list", "", (i: number) => `- **item** ${i}\n  - nested\n`],
    ["paragraph", "", (i: number) => `Words that go on ${i} and **on** and on. `],
    ["paragraph of code", "", () => "`a`, ".repeat(20)],
    ["paragraph of ticks", "", () => "` ".repeat(50)],
  ])("does not grow with the length of one %s", (_, head, part) => {
    const document = new StreamingDocument();
    const text = head + Array.from({ length: 300 }, (_, i) => part(i)).join("");
    const most = { parsedCharacters: 0, readInlines: 0 };
    let before = { ...document.work };
    for (let end = STEP; end <= text.length; end += STEP) {
      document.update(text.slice(0, end), true);
      for (const kind of ["parsedCharacters", "readInlines"] as const) {
        most[kind] = Math.max(most[kind], document.work[kind] - before[kind]);
      }
      before = { ...document.work };
    }
    document.update(text);
    expect(treeOf(document)).toEqual(parseMarkdown(text));
    // A delta may parse what is not final some times over, but never the block.
    expect(most.parsedCharacters).toBeLessThan(20_000);
    expect(document.work.parsedCharacters / (text.length / STEP)).toBeLessThan(8_000);
    expect(most.readInlines).toBeLessThan(300);
  });

  it("begins anew when the text is another one", () => {
    const document = new StreamingDocument();
    document.update("# One\n\ntext\n\nmore", true);
    document.update("Two");
    expect(treeOf(document)).toEqual(parseMarkdown("Two"));
  });

  it("reads a block again when a definition comes that its link waits for", () => {
    const document = new StreamingDocument();
    document.update("See [this].\n\nMore.\n\nAnd more.\n\n", true);
    document.update("See [this].\n\nMore.\n\nAnd more.\n\n[this]: https://x.org\n");
    expect(document.entries[0]?.node).toMatchObject({
      children: ["See ", { type: "link", href: "https://x.org/" }, "."],
    });
  });
});
