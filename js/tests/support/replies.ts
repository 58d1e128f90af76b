/** A long reply as models write them: sections of prose, lists, code, tables and formulas. */
export function replyOf(sections: number): string {
  return Array.from({ length: sections }, (_, i) => section(i + 1)).join("\n");
}

function section(n: number): string {
  return `## Section ${n}

Some **bold** words, some *others*, a [link](https://example.org/${n}) and \`code_${n}()\`. It goes on for a while, as
replies do, and has $x_${n}^2$ in it.

- one thing
- another, with
  - something below it
- the last

\`\`\`python
def area_${n}(radius: float) -> float:
    """Of a circle."""
    return 3.14159 * radius ** ${n}  # enough
\`\`\`

| name | value | unit |
|------|------:|:----:|
| a${n} | ${n * 17} | m |
| **b** | ${n * 3} | \`s\` |

1. First do this.
2. Then that.

$$
\\int_0^${n} x^2 \\, dx = \\frac{${n}^3}{3}
$$
`;
}
