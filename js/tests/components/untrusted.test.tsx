import { render } from "preact";
import { afterEach, describe, expect, it } from "vitest";
import { page } from "vitest/browser";
import corpus from "../../../tests/xss_corpus.json" with { type: "json" };
import { Markdown } from "../../src/markdown";
import type { ChatMessage } from "../../src/protocol";
import { type Mounted, mount } from "../support/mount";

const ran: string[] = [];
Object.assign(window, { alert: (text: string) => ran.push(text) });

const ELEMENTS =
  "script, iframe, object, embed, img, link, meta, base, audio, video, foreignObject, style, template";
const WEB = /^(https?:\/\/|mailto:)/;

/** What would run, fetch, or lead elsewhere than to the web. */
function suspicious(root: Element): string[] {
  return [...root.querySelectorAll("*")].flatMap((element) => [
    ...(element.matches(ELEMENTS) ? [element.outerHTML] : []),
    ...[...element.attributes]
      .filter(
        ({ name, value }) =>
          /^(on.*|src|srcset|srcdoc|action|formaction|ping|background|poster|data|xlink:href)$/i.test(
            name,
          ) ||
          (name === "href" && !WEB.test(value)) ||
          (name === "style" && /url|expression/i.test(value)),
      )
      .map(({ name, value }) => `${element.localName} ${name}=${value}`),
  ]);
}

let panel: Mounted | undefined;
const box = document.body.appendChild(document.createElement("div"));

afterEach(() => {
  panel?.unmount();
  panel = undefined;
  render(null, box);
  expect(ran).toEqual([]);
});

describe.each(Object.entries(corpus))("hostile text: %s", (_, texts) => {
  it("does nothing, at whichever moment it streams in", () => {
    for (const text of texts) {
      for (let end = 1; end < text.length; end += Math.max(1, Math.floor(text.length / 12))) {
        render(<Markdown text={text.slice(0, end)} streaming />, box);
        expect(suspicious(box)).toEqual([]);
      }
      render(<Markdown text={text} />, box);
      expect(suspicious(box)).toEqual([]);
      render(<Markdown text={text} raw />, box);
      expect(box.textContent).toBe(text);
      render(null, box);
    }
  });

  it("does nothing in any part of a message", async () => {
    // As many as the panel shows at once.
    for (let i = 0; i < texts.length; i += 12) {
      const messages = texts.slice(i, i + 12).flatMap(messagesOf);
      panel = mount(messages);
      const articles = page.getByRole("log").getByRole("article");
      await expect.poll(() => articles.elements().length).toBe(messages.length);
      for (const fold of panel.root.querySelectorAll("details")) fold.open = true;
      const { root } = panel;
      const folded = () => root.querySelectorAll<HTMLElement>("[role=log] [aria-expanded=false]");
      for (const button of folded()) button.click();
      await expect.poll(() => folded().length).toBe(0);
      expect(suspicious(root)).toEqual([]);
      panel.unmount();
      panel = undefined;
    }
  });
});

function messagesOf(text: string, i: number): ChatMessage[] {
  const files = [{ name: text, type: text, size: 1 }];
  const call = { id: text, name: text, arguments: { [text]: text }, result: text };
  return [
    { turn: 2 * i + 1, role: "user", text, state: "done", files },
    {
      turn: 2 * i + 2,
      role: "assistant",
      text,
      thinking: text,
      state: "error",
      error: { kind: text, message: text, retry: null },
      tool_calls: [{ ...call, state: "done" }],
    },
  ];
}
