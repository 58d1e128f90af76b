/** Replies that show all that Markdown can do. */
export const MARKDOWN = `# A heading

Some **bold** and *light* words, \`inline code\`, ~~mistakes~~, a [link](https://example.org/docs) and https://example.org.
A line break, too; and what looks like <b>HTML</b> is text. Euler: $e^{i\\pi} + 1 = 0$.

## A list

- one thing
- another, with a longer text that goes on until it has to be broken somewhere in the middle
  - something below it
  - and something else
- [x] a task that is done
- [ ] and one that is not

3. An ordered list may begin at three
4. and goes on

> What somebody said, in a quotation
> of two lines.

\`\`\`python
def area(radius: float) -> float:
    """The area of a circle."""
    return math.pi * radius**2  # a comment that is long enough to make the line scroll inside itself


class Circle:
    colours = {"red": 1, "green": 2.5, "blue": None}
\`\`\`

| Quantity | Value | Unit | What it is for, in more words than a narrow panel has room for |
|:---------|------:|:----:|------|
| speed | 299792458 | m/s | \`c\` |
| mass | **1.5** | kg | $m_0$ |

$$
\\int_0^\\infty e^{-x^2} \\, dx = \\frac{\\sqrt{\\pi}}{2}, \\qquad
A = \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}
$$

![a picture of a cat](https://example.org/cat.png)

---

The end.`;

export const RIGHT_TO_LEFT = `## כותרת

זה טקסט **מודגש** בעברית, עם \`code\` באמצע וקישור [כאן](https://example.org).

- פריט ראשון
- פריט שני
  - פריט פנימי

> ציטוט קצר.

1. ראשון
2. שני

\`\`\`python
print("שלום")
\`\`\`

| עמודה | ערך |
|---|---|
| אחת | 1 |

And a paragraph from left to right.`;
