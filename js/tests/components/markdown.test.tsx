import { render } from "preact";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { page } from "vitest/browser";
import { Gradually, Markdown } from "../../src/markdown";
import { Block } from "../../src/markdown/block";
import "../../src/styles/panel.css";
import { replyOf } from "../support/replies";

let root: HTMLElement;

beforeEach(() => {
  root = document.body.appendChild(document.createElement("div"));
  root.className = "gn-panel";
  root.style.cssText = "height: auto; width: 600px";
});

afterEach(() => {
  render(null, root);
  root.remove();
});

function show(text: string, props: { streaming?: boolean; raw?: boolean } = {}) {
  render(<Markdown text={text} {...props} />, root);
  const shown = root.firstElementChild;
  if (!(shown instanceof HTMLElement)) throw new Error("nothing is shown");
  return shown;
}

const tags = (element: Element) => [...element.querySelectorAll("*")].map((e) => e.localName);

describe("Markdown", () => {
  it("becomes the elements that it means", () => {
    const shown = show(
      "# One\n\nSome **bold**, *light*, ~~old~~ `code`.\n\n> said\n\n3. three\n4. four\n\n---\n\n- [x] done\n- [ ] open",
    );
    expect(shown.querySelector("h3.gn-h1")?.textContent).toBe("One");
    expect(shown.querySelector("p")?.innerHTML).toBe(
      'Some <strong>bold</strong>, <em>light</em>, <del>old</del> <code class="gn-inline-code">code</code>.',
    );
    expect(shown.querySelector("blockquote p")?.textContent).toBe("said");
    expect(shown.querySelector("ol")?.getAttribute("start")).toBe("3");
    expect(shown.querySelectorAll("ol > li")).toHaveLength(2);
    expect(shown.querySelector("hr")).not.toBeNull();
    expect([...shown.querySelectorAll("input")].map((box) => [box.checked, box.disabled])).toEqual([
      [true, true],
      [false, true],
    ]);
  });

  it("keeps the line breaks of the model, as it has no other way to make them", () => {
    expect(show("one\ntwo  \nthree").querySelector("p")?.innerText).toBe("one\ntwo\nthree");
  });

  it("shows tables with their alignment, and lets wide ones scroll inside themselves", () => {
    root.style.width = "320px";
    const wide = "x".repeat(60);
    const shown = show(`| a | b |\n|:--|--:|\n| ${wide} | ${wide} |`);
    const cells = [...shown.querySelectorAll("td")].map((cell) => getComputedStyle(cell).textAlign);
    expect(cells).toEqual(["left", "right"]);
    const scroller = shown.querySelector<HTMLElement>(".gn-table");
    expect(scroller?.scrollWidth).toBeGreaterThan(320);
    expect(scroller?.tabIndex).toBe(0);
    expect(root.scrollWidth).toBeLessThanOrEqual(320);
  });

  it("shows raw HTML as text", () => {
    const html = '<img src=x onerror="alert(1)"> <script>alert(1)</script>';
    const shown = show(`${html}\n\n<div>\n${html}\n</div>`);
    expect(tags(shown)).toEqual(["p", "p"]);
    expect(shown.querySelector("p")?.textContent).toBe(html);
  });

  it.each([true, false])("of any depth leaves the panel alive (streaming: %s)", (streaming) => {
    for (const text of ["**a ".repeat(3000), `${"*".repeat(4000)}a${"*".repeat(4000)}`]) {
      expect(show(text, { streaming }).textContent).toContain("a");
      render(null, root);
    }
  });

  it("that cannot be rendered is shown as it was written, and so is what still comes", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const broken = vi.spyOn(Block.prototype, "render").mockImplementation(() => {
      throw new RangeError("too deep");
    });
    show("some **bold", { streaming: true });
    await expect.poll(() => root.textContent).toBe("some **bold");
    expect(show("some **bold** words", { streaming: true }).textContent).toBe(
      "some **bold** words",
    );
    expect(warned).toHaveBeenCalled();
    broken.mockRestore();
    warned.mockRestore();
  });

  it("is shown as it was written where that is asked for", () => {
    const shown = show("# One\n\n**two**", { raw: true });
    expect(shown.textContent).toBe("# One\n\n**two**");
    expect(tags(shown)).toEqual([]);
  });
});

describe("links", () => {
  it("lead to the web and to mail, in a tab that knows nothing of this one", () => {
    show("[a](https://x.org/a) [b](http://x.org) <c@x.org> https://x.org/d_e_f");
    const links = [...root.querySelectorAll("a")];
    expect(links.map((a) => a.getAttribute("href"))).toEqual([
      "https://x.org/a",
      "http://x.org/",
      "mailto:c@x.org",
      "https://x.org/d_e_f",
    ]);
    for (const a of links) {
      expect(a.target).toBe("_blank");
      expect(a.rel).toBe("noopener noreferrer");
      expect(a.title).toContain(a.getAttribute("href"));
    }
  });

  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java&#10;script:alert(1)",
    "&#106;avascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "//x.org",
    "/api/kernels",
    "#top",
    "https:x",
    "blob:null/1",
    "",
    "about:blank",
  ])("to %s are text", (address) => {
    const shown = show(`[text](${address}) ![text](${address})\n\n[r]\n\n[r]: ${address}`);
    expect(tags(shown).filter((tag) => tag !== "p")).toEqual([]);
  });

  it("say where they really lead when their text is another address", () => {
    expect(show("[www.bank.com](https://evil.org/x)").textContent).toBe("www.bank.com (evil.org)");
    expect(show("[www.bank.com](https://bank.com/x)").textContent).toBe("www.bank.com");
    expect(show("[main.py](https://x.org/main.py), see").textContent).toContain("main.py");
  });

  it("to images say so, too", () => {
    expect(show("[bank.com](https://evil.org/x)").querySelector("bdi")?.textContent).toBe(
      "(evil.org)",
    );
    expect(show("![bank.com](https://evil.org/x)").textContent).toBe("Image: bank.com (evil.org)");
  });

  it("take the place of images, which are not fetched", () => {
    const shown = show("![a cat](https://x.org/cat.png)");
    expect(shown.querySelector("img")).toBeNull();
    expect(shown.querySelector("a")?.textContent).toBe("Image: a cat");
    expect(shown.querySelector("a")?.getAttribute("href")).toBe("https://x.org/cat.png");
  });
});

describe("code", () => {
  const code = 'def f(x):\n    return "<b>" + x  # 1';

  it("is coloured, and stays the same text", async () => {
    const shown = show(`\`\`\`python\n${code}\n\`\`\``);
    expect(shown.querySelector("pre")?.textContent).toBe(code);
    await expect.poll(() => shown.querySelector(".gn-tok-kwd")?.textContent).toBe("def");
    expect(shown.querySelector(".gn-tok-str")?.textContent).toBe('"<b>"');
    expect(shown.querySelector("pre")?.textContent).toBe(code);
  });

  it("is copied whole by its button", async () => {
    const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    show(`\`\`\`python\n${code}\n\`\`\`\n\n    other`);
    await page.getByRole("button", { name: "Copy code" }).first().click();
    expect(write).toHaveBeenCalledWith(code);
  });

  it("of a language that nobody knows, or too long to colour, is plain", () => {
    expect(show("```constructor\nx\n```").querySelector("pre")?.textContent).toBe("x");
    const long = "x = 1;".repeat(5000);
    expect(show(`\`\`\`py\n${long}\n\`\`\``).querySelector("pre")?.textContent).toBe(long);
  });

  it("that is long is the same text in its sections, also when somebody selects it", async () => {
    const long = Array.from({ length: 300 }, (_, i) => `x = ${i}${i % 7 ? "" : "\n"}`).join("\n");
    const pre = show(`\`\`\`py\n${long}\n\`\`\``).querySelector("pre") ?? root;
    expect(pre.querySelectorAll(".gn-code-section").length).toBeGreaterThan(1);
    await expect.poll(() => pre.querySelectorAll(".gn-tok-num").length).toBe(300);
    expect(pre.textContent).toBe(long);
    getSelection()?.selectAllChildren(pre);
    expect(getSelection()?.toString().trimEnd()).toBe(long.trimEnd());
    getSelection()?.removeAllRanges();
    const lines = long.split("\n").length;
    const height = Number.parseFloat(getComputedStyle(pre).lineHeight);
    expect(Math.round((pre.clientHeight - 20) / height)).toBe(lines);
  });

  it("scrolls inside itself", () => {
    root.style.width = "320px";
    const shown = show(`\`\`\`\n${"x".repeat(500)}\n\`\`\``);
    expect(shown.querySelector("pre")?.scrollWidth).toBeGreaterThan(320);
    expect(root.scrollWidth).toBeLessThanOrEqual(320);
  });

  it("reads from left to right in a text that does not", () => {
    const shown = show("שלום\n\n- עולם\n\n```\nx\n```");
    expect(getComputedStyle(shown.querySelector("p") ?? shown).direction).toBe("rtl");
    expect(getComputedStyle(shown.querySelector("ul") ?? shown).direction).toBe("rtl");
    expect(getComputedStyle(shown.querySelector("pre") ?? shown).direction).toBe("ltr");
  });
});

describe("maths", () => {
  it("is MathML, in the line and on its own", () => {
    const shown = show("Now $x^2$ and\n\n$$\n\\frac{a}{b}\n$$\n\nand \\(y\\).");
    const maths = [...shown.querySelectorAll("math")];
    expect(maths.map((m) => m.namespaceURI)).toEqual(
      Array(3).fill("http://www.w3.org/1998/Math/MathML"),
    );
    expect(maths[0]?.querySelector("msup")).not.toBeNull();
    expect(maths[1]?.querySelector("mfrac")).not.toBeNull();
    expect(maths[1]?.getAttribute("display")).toBe("block");
  });

  it("leaves prices alone", () => {
    expect(show("It costs $5 or $6.").textContent).toBe("It costs $5 or $6.");
  });

  it.each([
    "\\href{javascript:alert(1)}{x}",
    "\\url{https://x.org}",
    "\\includegraphics{https://x.org/i.png}",
    "\\class{a}{x}",
    "\\htmlData{a=b}{x}",
    "\\style{background:url(//x.org)}{x}",
    "\\notacommand",
    "\\frac{a}",
  ])("that may not be, or is not TeX, is shown as written: %s", (tex) => {
    const shown = show(`$${tex}$`);
    expect(shown.querySelector("a, img, [href], [src], [style*=url]")).toBeNull();
    expect(shown.querySelector("math")).toBeNull();
    expect(shown.querySelector("code.gn-tex")?.textContent).toBe(tex);
  });

  it("goes back by a space, but not over what stands before it", () => {
    const margin = (tex: string) =>
      show(`$${tex}$`).querySelector<HTMLElement>("mrow[style]")?.style.marginLeft ?? "";
    expect(margin("a\\!b")).toMatch(/^-0\.1/);
    expect(margin("\\kern-500em x")).toBe("");
    expect(margin("\\kern-0.9in x")).toBe("");
    const shown = show(`$${"\\kern-0.4em ".repeat(20)}x$`);
    const back = [...shown.querySelectorAll<HTMLElement>("[style]")]
      .map((element) => Number.parseFloat(element.style.marginLeft || "0"))
      .reduce((sum, way) => sum + way, 0);
    expect(back).toBeCloseTo(-0.8);
  });

  it("without end is not expanded", () => {
    expect(show("$\\def\\a{\\a\\a}\\a$").querySelector("code.gn-tex")).not.toBeNull();
  });
});

describe("a reply that streams in", () => {
  it("renders each block that is complete once", () => {
    const rendered = vi.spyOn(Block.prototype, "render");
    const text = replyOf(10);
    const STEP = 16;
    show("", { streaming: true });
    for (let end = STEP; end < text.length; end += STEP)
      show(text.slice(0, end), { streaming: true });
    const deltas = Math.floor(text.length / STEP);
    const total = rendered.mock.calls.length;
    rendered.mockRestore();
    // The open block with each delta, its parts, and each block when it is settled.
    expect(total).toBeLessThan(3 * deltas + 3 * 130);
  });

  it("ends as the same elements as when it is rendered at once", async () => {
    const text = replyOf(3);
    for (let end = 7; end < text.length; end += 7) show(text.slice(0, end), { streaming: true });
    const streamed = show(text);
    await expect.poll(() => streamed.querySelectorAll(".gn-tok-kwd").length).toBeGreaterThan(5);
    const other = document.body.appendChild(document.createElement("div"));
    render(<Markdown text={text} gradual />, other);
    await expect.poll(() => other.firstElementChild?.outerHTML).toBe(streamed.outerHTML);
    render(null, other);
    other.remove();
  });
});

describe("a long text that is there at once", () => {
  const text = replyOf(20);
  const sections = () => root.querySelectorAll("h3").length + root.querySelectorAll("h4").length;

  it("comes whole where what is below it must stay in its place", () => {
    show(text);
    expect(sections()).toBe(20);
  });

  it("comes bit by bit elsewhere, and is the same in the end", async () => {
    const whole = show(text).textContent;
    render(null, root);
    render(
      <Gradually.Provider value={{ current: true }}>
        <Markdown text={text} gradual />
      </Gradually.Provider>,
      root,
    );
    expect(sections()).toBeGreaterThan(0);
    expect(sections()).toBeLessThan(10);
    await expect.poll(() => root.firstElementChild?.textContent).toBe(whole);
  });

  it("is not waited for when it is short, or grows", () => {
    const gradually = (said: string) =>
      render(
        <Gradually.Provider value={{ current: true }}>
          <Markdown text={said} streaming gradual />
        </Gradually.Provider>,
        root,
      );
    for (let end = 0; end < text.length; end += 1000) {
      gradually(text.slice(0, end));
      expect(root.textContent).toContain(
        text
          .slice(0, end)
          .match(/Section \d+/g)
          ?.at(-1) ?? "",
      );
    }
  });
});
