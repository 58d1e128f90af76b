/** For those who do not see the panel, do not use a mouse, need it large, still, or in colours of their own. */
import axe from "axe-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cdp, page, userEvent } from "vitest/browser";
import type { ChatMessage } from "../../src/protocol";
import { lastSent, MODEL } from "../support/kernel";
import { ask, type Mounted, mount } from "../support/mount";

/** The state that only a late answer leads to. */
const BUSY = "while the kernel is busy with a cell";

let panel: Mounted;

beforeEach(({ task }) => {
  panel = mount([], task.name.includes(BUSY) ? { lateAfterMs: 100 } : {});
});

afterEach(async () => {
  panel.unmount();
  document.documentElement.removeAttribute("style");
  document.body.removeAttribute("style");
  await emulate();
});

/** What a reader's settings are: none of them without an argument. */
async function emulate(features: Record<string, string> = {}) {
  const named = ["prefers-reduced-motion", "forced-colors", "prefers-color-scheme"];
  const all = named.map((name) => ({ name, value: features[name] ?? "" }));
  const send = cdp().send as (method: string, options: object) => Promise<unknown>;
  await send.call(cdp(), "Emulation.setEmulatedMedia", { features: all });
}

const chat: ChatMessage[] = [
  { turn: 1, role: "user", text: "My name is Ada.", state: "done" },
  {
    turn: 2,
    role: "assistant",
    text: `Nice to meet you, Ada. ${"Averylongwordwithoutabreak".repeat(20)}`,
    state: "done",
    finish_reason: "stop",
    timing: {
      time_to_first_token_s: 0.08,
      prefill_tokens_per_s: 400,
      decode_tokens_per_s: 96,
      total_s: 0.6,
    },
  },
];

const MARKDOWN = `# Title

A [link](https://example.org), \`code\` and $x^2$:

\`\`\`python
def greet(name):  # a comment
    return f"Hello, {name}!"
\`\`\`

| Name | Age |
|---|---|
| Ada | 36 |

- [x] done
- [ ] not yet

> Quoted.
`;

const CALL = { id: "7", name: "delete_file", arguments: { path: "/tmp/x" } };

const LIFE = {
  handle: 1,
  created_s: 0,
  spent_s: 3,
  closed_s: 4,
  tokens: 120,
  sends: 2,
  checkpoints: 0,
  current: false,
  end: "cancelled",
};

/** To look at: one of each state. */
const PICTURES = "../../../tests/artifacts/screenshots/states";

/** Every state that a panel can be seen in. */
const STATES: Record<string, () => unknown> = {
  empty: () => undefined,
  sending: () => panel.box.fill("Hello").then(() => panel.send.click()),
  streaming: async () => {
    await ask(panel, "Hello");
    panel.tell(panel.kernel.delta("Nice to "));
  },
  stopping: async () => {
    await STATES.streaming?.();
    await panel.stop.click();
  },
  done: () => panel.tell(panel.kernel.snapshot(chat)),
  stopped: async () => {
    await STATES.streaming?.();
    panel.tell(panel.kernel.end("cancelled"), panel.kernel.state("idle"));
  },
  "with a failed reply": async () => {
    const request = await ask(panel, "Hello");
    const { kernel } = panel;
    panel.tell(kernel.error({ turn: 2, request, retry: "send" }), kernel.state("idle"));
  },
  "with a notice": () => panel.tell(panel.kernel.error({ retry: "reset" })),
  resetting: () => panel.reset.click(),
  "after a failed reset": () => panel.tell(panel.kernel.newEpoch(undefined, "failed")),
  "with Markdown in the reply": () =>
    panel.tell(
      panel.kernel.snapshot([
        chat[0] as ChatMessage,
        { ...(chat[1] as ChatMessage), text: MARKDOWN },
      ]),
    ),
  "with Settings open": () => page.getByRole("button", { name: "Settings" }).click(),
  "with Under the hood open": async () => {
    await page.getByRole("button", { name: "Under the hood" }).click();
    await expect.poll(() => panel.transport.sent.some((m) => m.type === "hood_request")).toBe(true);
    const request = lastSent(panel.transport.sent, "hood_request").id;
    const live = { ...LIFE, handle: 2, created_s: 4, spent_s: null, closed_s: null, current: true };
    const { handles } = panel.kernel.condition("idle");
    const lives = [LIFE, live];
    panel.tell(panel.kernel.next("hood", { request, now_s: 9, earlier: 0, handles, lives }));
    await expect.element(page.getByRole("table")).toBeVisible();
  },
  "while it thinks": async () => {
    await ask(panel, "Hard one");
    panel.tell(panel.kernel.think("Let me see.", 0));
    await expect.element(page.getByText("Let me see.")).toBeVisible();
  },
  "while a tool asks": async () => {
    await ask(panel, "Delete it");
    panel.tell(panel.kernel.next("tool", { turn: 2, call: { ...CALL, state: "asking" } }));
    await expect.element(page.getByRole("group", { name: /Permission/ })).toBeVisible();
  },
  "with a tool's result open": async () => {
    await ask(panel, "Delete it");
    const call = { ...CALL, state: "done", result: "<b>gone</b>" };
    panel.tell(panel.kernel.next("tool", { turn: 2, call }));
    await page.getByRole("button", { name: /delete_file/ }).click();
    await expect.element(page.getByText("<b>gone</b>")).toBeVisible();
  },
  "with a file attached and one sent": async () => {
    const files = [{ name: "sent.png", type: "image/png", size: 3 }];
    const said = [{ ...(chat[0] as ChatMessage), files }, chat[1] as ChatMessage];
    const model = { ...MODEL, modalities: ["text", "vision"] };
    panel.tell(panel.kernel.snapshot(said, { model }));
    const attach = page.getByRole("button", { name: "Attach files" });
    await expect.element(attach).toHaveAttribute("aria-disabled", "false");
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["png"], "cat.png", { type: "image/png" }));
    const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer });
    panel.box.element().dispatchEvent(drop);
    await expect.element(page.getByRole("button", { name: "Remove cat.png" })).toBeVisible();
  },
  "with two tabs": async () => {
    await page.getByRole("button", { name: "New tab" }).click();
    const { id } = lastSent(panel.transport.sent, "open_chat");
    const chats = ["1", "2"].map((chat) => ({ id: chat, name: `Chat ${chat}` }));
    panel.tell({ type: "chats", chats, request: id, show: "2" });
    panel.tell({ ...panel.kernel.snapshot(), chat: "2", seq: 1 });
    await expect.element(page.getByRole("tab").last()).toHaveAttribute("aria-selected", "true");
  },
  "with a chat and Export open": async () => {
    panel.tell(panel.kernel.snapshot(chat));
    await page.getByRole("button", { name: "Export" }).click();
  },
  "after a reset, with the last chat to save": async () => {
    panel.tell(panel.kernel.snapshot(chat));
    await panel.reset.click();
    panel.tell(panel.kernel.newEpoch(lastSent(panel.transport.sent, "reset").id));
    await expect.element(page.getByRole("button", { name: "Save it" })).toBeVisible();
  },
  "after a tab was closed, with its chat to save": async () => {
    await STATES["with two tabs"]?.();
    panel.tell({ ...panel.kernel.snapshot(chat), chat: "2", seq: 2 });
    await page.getByRole("button", { name: "Close tab" }).click();
    await expect.element(page.getByText("closed chat")).toBeVisible();
  },
  "with branches": async () => {
    const branch = { index: 2, count: 3 };
    panel.tell(
      panel.kernel.snapshot([
        { ...(chat[0] as ChatMessage), branch: { index: 1, count: 2 } },
        { ...(chat[1] as ChatMessage), branch },
      ]),
    );
    await expect.element(page.getByText("2/3")).toBeVisible();
  },
  "while a prompt is edited": async () => {
    panel.tell(panel.kernel.snapshot(chat));
    await panel.prompts.hover();
    await page.getByRole("button", { name: "Edit" }).click();
    await expect.element(page.getByRole("textbox", { name: "Edited prompt" })).toBeVisible();
  },
  "with a prompt that waits beside another": async () => {
    await panel.box.fill("The first");
    await panel.send.click();
    await panel.box.fill("The second");
    const request = lastSent(panel.transport.sent, "send").id;
    panel.tell(panel.kernel.error({ request, retry: "send", text: "The first" }));
    await expect.element(page.getByText("The first")).toBeVisible();
  },
  "with old turns forgotten and the next one told": async () => {
    const full = { context: { tokens: 980, limit: 1024, forgotten_turns: 1 } };
    const said = [1, 3, 5].flatMap((turn): ChatMessage[] => [
      { turn, role: "user", text: `Question ${turn}`, state: "done" },
      {
        turn: turn + 1,
        role: "assistant",
        text: "An answer.",
        state: "done",
      },
    ]);
    panel.tell(panel.kernel.snapshot(said, full));
    await expect.element(page.getByText("Question 5")).toBeVisible();
    await expect.element(page.getByText("The model has forgotten what is above")).toBeVisible();
  },
  [BUSY]: async () => {
    await STATES.streaming?.();
    await panel.stop.click();
    await expect.element(panel.status).toHaveTextContent("busy with a cell");
  },
  "of a kernel that has ended": async () => {
    panel.tell(panel.kernel.snapshot(chat));
    panel.store.lose("The kernel has ended: the chat can only be read.");
    await expect.element(panel.status).toHaveTextContent("has ended");
  },
  "with the keyboard shortcuts open": () =>
    page.getByRole("button", { name: "Keyboard shortcuts" }).click(),
  closed: () => panel.tell(panel.kernel.state("closed")),
};

async function findings(): Promise<string[]> {
  const { violations } = await axe.run(panel.root, { resultTypes: ["violations"] });
  return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html} (${n.failureSummary})`));
}

describe.each(["light", "dark"])("axe finds nothing in a %s panel", (scheme) => {
  it.each(Object.keys(STATES))("%s", async (name) => {
    // What is fading in has not its colours yet.
    await emulate({ "prefers-reduced-motion": "reduce" });
    document.documentElement.style.colorScheme = scheme;
    document.body.style.background = scheme === "light" ? "#fff" : "#111";
    await STATES[name]?.();
    expect(await findings()).toEqual([]);
    const path = `${PICTURES}/${scheme}-${name.replaceAll(/[^A-Za-z]+/g, "-")}.png`;
    await page.screenshot({ path, element: panel.root });
  });
});

describe("with the keyboard alone", () => {
  /** Presses Tab until something of that name has the focus. */
  async function tabTo(name: string) {
    for (let presses = 0; presses < 40; presses += 1) {
      await userEvent.tab();
      const { activeElement: reached } = document;
      if (reached?.ariaLabel === name || reached?.textContent?.trim() === name) return reached;
    }
    throw new Error(`Tab never reaches ${name}`);
  }

  it("one can write, send, stop, read, and reset", async () => {
    await tabTo("Message");
    await userEvent.keyboard("Hello");
    await tabTo("Send");
    await userEvent.keyboard("{Enter}");
    const { id, text } = lastSent(panel.transport.sent, "send");
    expect(text).toBe("Hello");
    const { kernel } = panel;
    panel.tell(kernel.prompt(text, id), kernel.reply(id), kernel.state("generating"));
    await expect.element(panel.stop).toBeVisible();
    await tabTo("Stop");
    await userEvent.keyboard(" ");
    const stop = lastSent(panel.transport.sent, "stop");
    panel.tell(kernel.end("cancelled"), kernel.state("idle", stop.id));
    expect(panel.root.contains(document.activeElement)).toBe(true);
    await tabTo("Conversation");
    await tabTo("Reset chat");
    await userEvent.keyboard("{Enter}");
    expect(lastSent(panel.transport.sent, "reset").epoch).toBe(1);
    expect(panel.root.contains(document.activeElement)).toBe(true);
  });

  it("what has the focus is seen to have it", async () => {
    for (const name of ["Reset chat", "Conversation", "Send"]) {
      const { outlineStyle, outlineWidth } = getComputedStyle(await tabTo(name));
      expect([name, outlineStyle, Number.parseFloat(outlineWidth)]).toEqual([name, "solid", 2]);
    }
    await tabTo("Message");
    const frame = panel.root.querySelector("form") as Element;
    expect(getComputedStyle(frame).boxShadow).not.toBe("none");
  });
});

describe("what lies beneath a drawer that covers it", () => {
  const conversation = () => panel.root.querySelector<HTMLElement>(".gn-conversation");

  it("cannot be reached, and can be again when that is closed", async () => {
    panel.root.style.width = "400px";
    panel.tell(panel.kernel.snapshot(chat));
    await STATES["with Settings open"]?.();
    await expect.poll(() => conversation()?.inert).toBe(true);
    await expect.element(page.getByRole("heading", { name: "Settings" })).toHaveFocus();
    await userEvent.tab({ shift: true });
    expect(conversation()?.contains(document.activeElement)).toBe(false);
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await expect.poll(() => conversation()?.inert).toBe(false);
  });

  it("can be read on beside one that does not", async () => {
    await STATES["with Settings open"]?.();
    await expect.element(page.getByRole("heading", { name: "Settings" })).toHaveFocus();
    expect(conversation()?.inert).toBe(false);
  });
});

describe("who hears the panel", () => {
  const failed: ChatMessage = {
    turn: 2,
    role: "assistant",
    text: "",
    state: "error",
    error: { kind: "EngineError", message: "It broke.", retry: null },
  };
  const alert = () => page.getByRole("alert").elements();

  it("hears of an error when it happens, and not of those that were there before", async () => {
    panel.tell(panel.kernel.snapshot([chat[0] as ChatMessage, failed]));
    await expect.element(page.getByText("It broke.")).toBeVisible();
    expect(alert()).toHaveLength(0);
    const request = await ask(panel, "Again");
    await expect.element(panel.replies.last()).toHaveAttribute("data-state", "streaming");
    panel.tell(panel.kernel.error({ turn: 4, request, message: "It broke anew." }));
    await expect.element(page.getByRole("alert")).toHaveTextContent("It broke anew.");
  });

  it("is told no notice again by coming back to its tab", async () => {
    panel.tell(panel.kernel.error({ message: "Not now." }));
    await expect.element(page.getByRole("alert")).toHaveTextContent("Not now.");
    await STATES["with two tabs"]?.();
    await page.getByRole("tab").first().click();
    await expect.element(page.getByText("Not now.")).toBeVisible();
    expect(alert()).toHaveLength(0);
  });

  it.each([
    ["that something was copied", true, "Copied"],
    ["that it could not be", false, "It could not be copied"],
  ])("is told %s", async (_, works, words) => {
    const write = vi.spyOn(navigator.clipboard, "writeText");
    if (works) write.mockResolvedValue();
    else write.mockRejectedValue(new Error("not allowed"));
    const old = vi.spyOn(document, "execCommand").mockReturnValue(false);
    panel.tell(panel.kernel.snapshot(chat));
    await expect.element(panel.replies).toBeVisible();
    const copy = page.getByRole("button", { name: "Copy", exact: true }).last();
    (copy.element() as HTMLElement).click();
    await expect.element(panel.status).toHaveTextContent(words);
    await expect.element(panel.status).toHaveTextContent("Reply complete");
    write.mockRestore();
    old.mockRestore();
  });
});

describe("what scrolls inside a message is reached by the keyboard", () => {
  it.each([
    ["while it thinks", "Thoughts"],
    ["while a tool asks", "Arguments"],
    ["with a tool's result open", "Result"],
  ])("%s: %s", async (state, name) => {
    await STATES[state]?.();
    const part = page.getByRole("group", { name, exact: true });
    expect((part.element() as HTMLElement).tabIndex).toBe(0);
  });
});

describe("nothing sticks out", () => {
  const NARROW = Object.keys(STATES);
  const looks: Record<string, () => void> = {
    "at 320 px": () => {
      panel.root.style.width = "320px";
    },
    "at 640 px and 200 %": () => {
      document.body.style.zoom = "2";
      panel.root.style.width = "320px";
    },
    "at 320 px from right to left": () => {
      panel.root.style.width = "320px";
      panel.root.dir = "rtl";
    },
  };

  const sections = () => [...panel.root.querySelectorAll("section, [role=log]")];

  it.each(Object.keys(looks).flatMap((look) => NARROW.map((s) => [look, s])))(
    "%s, %s",
    async (look, state) => {
      looks[look as string]?.();
      await STATES[state as string]?.();
      await expect.element(panel.status).toBeVisible();
      for (const part of sections()) expect(part.scrollWidth).toBeLessThanOrEqual(part.clientWidth);
      const frame = sections()[0]?.getBoundingClientRect() as DOMRect;
      for (const part of panel.root.querySelectorAll(
        "button, textarea, [role=meter], [role=status]",
      )) {
        const { left, right } = part.getBoundingClientRect();
        expect(left).toBeGreaterThanOrEqual(frame.left);
        expect(right).toBeLessThanOrEqual(frame.right);
      }
    },
  );
});

describe("text from right to left", () => {
  it("begins at the right, and its reply too, in a panel from left to right", async () => {
    const hebrew = "שלום, שמי עדה.";
    panel.tell(
      panel.kernel.snapshot([
        { turn: 1, role: "user", text: hebrew, state: "done" },
        { turn: 2, role: "assistant", text: hebrew, state: "done", finish_reason: "stop" },
      ]),
    );
    await expect.element(panel.replies).toBeVisible();
    await panel.box.fill(hebrew);
    for (const text of [...page.getByText(hebrew).elements(), panel.box.element()]) {
      expect(getComputedStyle(text).direction).toBe("rtl");
    }
  });
});

describe("settings of the reader", () => {
  it("for less motion stop every animation", async () => {
    await emulate({ "prefers-reduced-motion": "reduce" });
    await STATES.streaming?.();
    await expect.element(panel.replies).toBeVisible();
    expect(panel.root.getAnimations({ subtree: true })).toEqual([]);
    await panel.reset.click();
    await expect.element(panel.status).toHaveTextContent("Resetting chat…");
    expect(panel.root.getAnimations({ subtree: true })).toEqual([]);
  });

  it("for motion as usual let it show that a reply is on its way", async () => {
    await emulate({ "prefers-reduced-motion": "no-preference" });
    await STATES.streaming?.();
    await expect.element(panel.replies).toBeVisible();
    expect(panel.root.getAnimations({ subtree: true })).not.toEqual([]);
  });

  it("for colours of their own leave every control and message with an edge", async () => {
    await emulate({ "forced-colors": "active" });
    panel.tell(panel.kernel.snapshot(chat));
    await expect.element(panel.replies).toBeVisible();
    expect(matchMedia("(forced-colors: active)").matches).toBe(true);
    for (const part of [panel.send, panel.reset]) {
      const { borderStyle, borderColor, backgroundColor } = getComputedStyle(part.element());
      expect(borderStyle).toBe("solid");
      expect(borderColor).not.toBe(backgroundColor);
    }
    const bubble = panel.root.querySelector(".gn-prompt .gn-text") as Element;
    expect(getComputedStyle(bubble).borderStyle).toBe("solid");
    const track = panel.root.querySelector(".gn-meter-track") as Element;
    expect(getComputedStyle(track).outlineStyle).toBe("solid");
  });
});
