import { describe, expect, it, vi } from "vitest";
import { closeSpans } from "../../src/markdown/heal";
import { StreamingDocument } from "../../src/markdown/streaming";

function streamed(text: string) {
  const document = new StreamingDocument();
  document.update(text, true);
  return document.entries.map((entry) => entry.node);
}

describe("what is half written shows as what it will be", () => {
  it.each([
    ["some **bold", "some **bold**"],
    ["some **bold*", "some **bold**"],
    ["some **", "some "],
    ["some *", "some "],
    ["some *it **both", "some *it **both***"],
    ["***all", "***all***"],
    ["done **bold** and", "done **bold** and"],
    ["~~gone", "~~gone~~"],
    ["a_b_c", "a_b_c"],
    ["_it", "_it_"],
    ["2 * 3", "2 * 3"],
    ["run `pip inst", "run `pip inst`"],
    ["run `", "run "],
    ["``a`b", "``a`b``"],
    ["`*a*` and `b", "`*a*` and `b`"],
    ["see [the do", "see the do"],
    ["see [the docs](https://exa", "see the docs"],
    ["see ![a pict", "see a pict"],
    ["see ![a picture](https://exa", "see a picture"],
    ["see [the docs](https://x.org) and", "see [the docs](https://x.org) and"],
    ["list[0", "list[0"],
    ["[ ] to do", "[ ] to do"],
    ["**see [the do", "**see the do**"],
    ["$a_1 * b$ is *so", "$a_1 * b$ is *so*"],
    ["costs $5 and *more", "costs $5 and *more*"],
    ["\\*not", "\\*not"],
  ])("%j", (text, closed) => {
    expect(closeSpans(text)).toBe(closed);
  });

  it("spans to a depth that can be shown, of which the innermost are closed", () => {
    const closed = closeSpans("**a ".repeat(1000));
    expect(closed).toMatch(/a(?:\*\*){40}$/);
  });

  it("code, whose ends are looked for in one pass", () => {
    const look = vi.spyOn(RegExp.prototype, "exec");
    try {
      closeSpans("`a`, ".repeat(200));
      expect(look.mock.calls.length).toBeLessThan(1000);
    } finally {
      look.mockRestore();
    }
  });

  it("a table from its first row on", () => {
    for (const rest of ["", "\n", "\n|", "\n|--", "\n|---|:-", "\n|---|---|\n"]) {
      expect(streamed(`Look:\n\n| a | b |${rest}`)).toMatchObject([
        { type: "paragraph" },
        { type: "table", head: { cells: [["a"], ["b"]] } },
      ]);
    }
  });

  it("a table below a line of text, too", () => {
    expect(streamed("Look:\n| a | b |\n|--")).toMatchObject([
      { type: "paragraph", children: ["Look:"] },
      { type: "table" },
    ]);
  });

  it("no table of what is only an upright bar", () => {
    expect(streamed("| is a pipe")).toMatchObject([{ type: "paragraph" }]);
    expect(streamed("```\n| a | b |")).toMatchObject([{ type: "fence", text: "| a | b |" }]);
  });

  it("code from its fence on", () => {
    expect(streamed("```python\nprint(")).toEqual([
      { type: "fence", language: "python", text: "print(" },
    ]);
    expect(streamed("text\n\n``")).toMatchObject([{}, { type: "paragraph", children: [] }]);
  });

  it("no heading of a paragraph whose list begins", () => {
    expect(streamed("Things:\n-")).toMatchObject([{ type: "paragraph", children: ["Things:"] }]);
    expect(streamed("Things:\n---\n")).toMatchObject([{ type: "heading", level: 2 }]);
  });

  it("a formula as its source until it ends", () => {
    expect(streamed("$$\nx^2")).toEqual([{ type: "formula", text: "x^2", closed: false }]);
    expect(streamed("$$\nx^2\n$$")).toEqual([{ type: "formula", text: "x^2", closed: true }]);
  });

  it("only while it streams", () => {
    const document = new StreamingDocument();
    document.update("some **bold", true);
    document.update("some **bold");
    expect(document.entries[0]?.node).toEqual({ type: "paragraph", children: ["some **bold"] });
  });
});
