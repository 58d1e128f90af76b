import fc from "fast-check";
import { expect, it } from "vitest";
import { sectionsOf } from "../../src/markdown/sections";

const code = fc
  .array(
    fc.constantFrom("\n", "\n\n", "x = 1\n", "word ", "y".repeat(700), `${"z".repeat(90)}\n`),
    {
      maxLength: 80,
    },
  )
  .map((pieces) => pieces.join(""));

it("the sections of code are the code, and those that are complete stay as they are", () => {
  fc.assert(
    fc.property(code, fc.nat(), (whole, cut) => {
      const before = sectionsOf(whole.slice(0, cut % (whole.length + 1))).slice(0, -1);
      const after = sectionsOf(whole);
      expect(after.join("")).toBe(whole);
      expect(after.slice(0, before.length)).toEqual(before);
    }),
    { numRuns: 500, seed: 20260803 },
  );
});
