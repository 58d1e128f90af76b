import { describe, expect, it, vi } from "vitest";
import { parseMarkdown } from "../../src/markdown/parser";

describe("formulas in a line", () => {
  it.each(["\\(", "\\["])("a text of nothing but %s is looked through once", (opener) => {
    const closer = opener === "\\(" ? "\\)" : "\\]";
    const look = vi.spyOn(String.prototype, "indexOf");
    try {
      parseMarkdown(`x ${opener.repeat(500)}x`);
      expect(look.mock.calls.filter(([text]) => text === closer).length).toBeLessThan(20);
    } finally {
      look.mockRestore();
    }
  });
});
