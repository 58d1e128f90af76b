import { describe, expect, it } from "vitest";
import { parseMarkdown } from "../../src/markdown/parser";
import { StreamingDocument } from "../../src/markdown/streaming";
import type { Block, Inline } from "../../src/markdown/syntax";

const DEEP = 3000;

function streamed(text: string): Block[] {
  const document = new StreamingDocument();
  document.update(text, true);
  return document.entries.map((entry) => entry.node);
}

function inlinesOf(block: Block | undefined): Inline[] {
  if (block?.type !== "paragraph") throw new Error("no paragraph");
  return block.children;
}

/** How deep the spans stand in each other; level by level, so that no depth is too much for it. */
function depthOf(nodes: Inline[]): number {
  let depth = 0;
  for (let level = nodes; level.length > 0; depth++) {
    level = level.flatMap((node) =>
      typeof node !== "string" && "children" in node ? node.children : [],
    );
  }
  return depth - 1;
}

function textOf(nodes: Inline[]): string {
  return nodes
    .map((node) =>
      typeof node === "string" ? node : "children" in node ? textOf(node.children) : "",
    )
    .join("");
}

describe("emphasis in emphasis is read to a depth that can be shown", () => {
  it.each([
    ["one", "*".repeat(DEEP), "*".repeat(DEEP)],
    ["several words", "**a ".repeat(DEEP), " a**".repeat(DEEP)],
    ["links", "**a ".repeat(DEEP), "[b](https://x.org)"],
  ])("of %s", (_, open, close) => {
    for (const blocks of [parseMarkdown(`${open}a${close}`), streamed(`${open}a${close}`)]) {
      const nodes = inlinesOf(blocks[0]);
      expect(depthOf(nodes)).toBeLessThanOrEqual(40);
      expect(textOf(nodes)).toContain("a");
    }
  });

  it("of which nothing but the emphasis is lost", () => {
    const deep = "*".repeat(201);
    const nodes = inlinesOf(parseMarkdown(`${deep}a \`b\` c${deep}`)[0]);
    expect(depthOf(nodes)).toBe(40);
    expect(textOf(nodes)).toBe("a  c");
  });

  it("as it is written where it is not deep", () => {
    expect(inlinesOf(parseMarkdown("*a **b [c](https://x.org)***")[0])).toMatchObject([
      {
        type: "emphasis",
        children: ["a ", { type: "strong", children: ["b ", { type: "link" }] }],
      },
    ]);
  });
});
