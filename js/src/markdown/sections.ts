const ENOUGH = 1_500;
const TOO_MUCH = 3_000;

/**
 * Code in parts of some lines each, which end at an empty line where there is one: a part is coloured and laid out
 * on its own, and only the last one changes while code streams in. No part is longer than a line and `TOO_MUCH`.
 */
export function sectionsOf(code: string): string[] {
  const sections: string[] = [];
  let begin = 0;
  while (code.length - begin > ENOUGH) {
    const empty = code.indexOf("\n\n", begin + ENOUGH);
    const line = code.indexOf("\n", begin + TOO_MUCH);
    const end = empty >= 0 && empty < begin + TOO_MUCH ? empty + 2 : line + 1;
    if (end === 0 || end >= code.length) break;
    sections.push(code.slice(begin, end));
    begin = end;
  }
  return [...sections, code.slice(begin)];
}
