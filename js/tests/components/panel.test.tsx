import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import type { ChatMessage } from "../../src/protocol";
import { lastSent } from "../support/kernel";
import { ask, type Mounted, mount } from "../support/mount";

let panel: Mounted;

beforeEach(() => {
  panel = mount();
});

afterEach(() => panel.unmount());

const sends = () => panel.transport.sent.filter((m) => m.type === "send");

function keydown(init: KeyboardEventInit) {
  const event = new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...init });
  panel.box.element().dispatchEvent(event);
  return event;
}

describe("names and roles", () => {
  it("are the contract's", async () => {
    await expect.element(panel.box).toBeVisible();
    await expect.element(panel.send).toBeVisible();
    await expect.element(panel.reset).toBeVisible();
    await expect.element(panel.log).toHaveAttribute("aria-live", "off");
    await expect.element(panel.status).toHaveAttribute("aria-live", "polite");
    await expect.element(panel.meter).toHaveAttribute("aria-valuenow", "5");
    await expect.element(panel.meter).toHaveAttribute("aria-valuemax", "1024");
    await expect.element(panel.stop).not.toBeInTheDocument();
  });

  it("keep JupyterLab's shortcuts away from the text box", () => {
    expect(panel.box.element().closest("[data-lm-suppress-shortcuts]")).not.toBeNull();
  });

  it("of each reply say its epoch and state", async () => {
    await ask(panel, "Hello");
    await expect.element(panel.replies).toHaveAttribute("data-state", "streaming");
    await expect.element(panel.replies).toHaveAttribute("data-epoch", "1");
    panel.tell(panel.kernel.end("cancelled"));
    await expect.element(panel.replies).toHaveAttribute("data-state", "cancelled");
  });
});

describe("sending", () => {
  it("with the button shows the prompt at once and empties the box", async () => {
    await panel.box.fill("My name is Ada.");
    await panel.send.click();
    expect(sends()).toMatchObject([{ text: "My name is Ada.", epoch: 1 }]);
    await expect.element(panel.prompts).toHaveTextContent("My name is Ada.");
    await expect.element(panel.box).toHaveValue("");
    await expect.element(panel.status).toHaveTextContent("Sending…");
  });

  it("with Enter works, and the prompt is shown once when the kernel has it", async () => {
    await panel.box.fill("Hello");
    await userEvent.keyboard("{Enter}");
    const { id } = lastSent(panel.transport.sent, "send");
    panel.tell(panel.kernel.prompt("Hello", id));
    await expect.element(panel.prompts).toHaveTextContent("Hello");
    expect(panel.prompts.elements()).toHaveLength(1);
  });

  it("does not happen on Shift+Enter, which is a new line", async () => {
    await panel.box.fill("one");
    await userEvent.keyboard("{Shift>}{Enter}{/Shift}two");
    await expect.element(panel.box).toHaveValue("one\ntwo");
    expect(sends()).toEqual([]);
  });

  it("does not happen on the Enter that ends an IME composition", async () => {
    await panel.box.fill("日本");
    expect(keydown({ key: "Enter", isComposing: true }).defaultPrevented).toBe(false);
    expect(keydown({ key: "Enter", keyCode: 229 }).defaultPrevented).toBe(false);
    expect(sends()).toEqual([]);
    keydown({ key: "Enter" });
    expect(sends()).toHaveLength(1);
  });

  it("does not happen without text, and the button says why", async () => {
    await panel.box.fill("  ");
    await expect.element(panel.send).toHaveAttribute("aria-disabled", "true");
    await expect.element(panel.send).toHaveAttribute("title", "Write a message first.");
    await userEvent.keyboard("{Enter}");
    expect(sends()).toEqual([]);
  });

  it("during a reply keeps the text for later", async () => {
    await ask(panel, "Hello");
    await panel.box.fill("And then?");
    await userEvent.keyboard("{Enter}");
    expect(sends()).toHaveLength(1);
    await expect.element(panel.box).toHaveValue("And then?");
  });

  it("that does not reach the kernel puts the text back and offers Retry", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    panel.transport.broken = new Error("dead");
    await panel.box.fill("Hello");
    await panel.send.click();
    await expect.element(panel.box).toHaveValue("Hello");
    await expect
      .element(page.getByRole("alert"))
      .toHaveTextContent("The kernel cannot be reached.");
    panel.transport.broken = null;
    await page.getByRole("button", { name: "Retry" }).click();
    expect(sends()).toMatchObject([{ text: "Hello" }]);
    await expect.element(panel.box).toHaveValue("");
    await expect.element(page.getByRole("alert")).not.toBeInTheDocument();
  });
});

describe("a prompt that is refused while another is being written", () => {
  it("is shown until it is sent again", async () => {
    await panel.box.fill("Hello <b>you</b>");
    await panel.send.click();
    const { id, text } = lastSent(panel.transport.sent, "send");
    await panel.box.fill("Next");
    panel.tell(panel.kernel.error({ request: id, text, retry: "send" }));
    const alert = page.getByRole("alert");
    await expect.element(alert).toHaveTextContent("It failed. “Hello <b>you</b>”");
    await ask(panel, "Next");
    await expect.element(alert).toBeVisible();
    expect(alert.getByRole("button", { name: "Retry" }).elements()).toEqual([]);
    panel.tell(panel.kernel.end(), panel.kernel.state("idle"));
    await alert.getByRole("button", { name: "Retry" }).click();
    expect(sends().map((m) => m.text)).toEqual([text, "Next", text]);
    await expect.element(alert).not.toBeInTheDocument();
  });
});

describe("a reply", () => {
  it("streams, and what looks like HTML in it is text", async () => {
    await ask(panel, "Hello");
    const { kernel } = panel;
    panel.tell(kernel.delta("<b>Nice</b>\n"), kernel.delta("to meet **you** 👋"));
    const text = () => panel.replies.element().querySelector(".gn-text");
    await expect.poll(() => text()?.textContent).toBe("<b>Nice</b>\nto meet you 👋");
    expect(text()?.querySelector("b")).toBeNull();
    expect(text()?.querySelector("strong")?.textContent).toBe("you");
    panel.tell(kernel.end(), kernel.state("idle"));
    await expect.element(panel.status).toHaveTextContent("Reply complete");
    await expect.element(panel.replies).toHaveAttribute("data-state", "done");
  });

  it("is stopped by Stop, which makes way for Send", async () => {
    await ask(panel, "Hello");
    await expect.element(panel.send).not.toBeInTheDocument();
    await panel.stop.click();
    expect(lastSent(panel.transport.sent, "stop")).toMatchObject({ epoch: 1 });
    await expect.element(panel.status).toHaveTextContent("Stopping…");
    await expect.element(panel.stop).toHaveAttribute("aria-disabled", "true");
    panel.tell(panel.kernel.end("cancelled"), panel.kernel.state("idle"));
    await expect.element(panel.send).toBeVisible();
    await expect.element(panel.status).toHaveTextContent("Stopped");
  });

  it("is not stopped by the second click of a double click on Send", async () => {
    await ask(panel, "Hello");
    await expect.element(panel.stop).toBeVisible();
    panel.stop.element().dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 2 }));
    expect(panel.transport.sent.some((m) => m.type === "stop")).toBe(false);
  });

  it("leaves the focus in the panel when the button that had it goes", async () => {
    await ask(panel, "Hello");
    (panel.stop.element() as HTMLElement).focus();
    panel.tell(panel.kernel.end(), panel.kernel.state("idle"));
    await expect.element(panel.box).toHaveFocus();
  });

  it("that failed says so where it happened, and Retry has it answered again in its place", async () => {
    await ask(panel, "Hello");
    const { kernel } = panel;
    const error = { kind: "EngineError", message: "The engine broke off.", retry: "send" } as const;
    panel.tell(
      kernel.delta("Ni"),
      kernel.turn({ turn: 2, role: "assistant", state: "error", error }),
      kernel.state("idle"),
    );
    await expect
      .element(panel.replies.getByRole("alert"))
      .toHaveTextContent("The engine broke off.");
    await expect.element(panel.status).toHaveTextContent("The reply failed");
    await panel.replies.getByRole("button", { name: "Retry" }).click();
    expect(lastSent(panel.transport.sent, "regenerate")).toMatchObject({ epoch: 1, turn: 2 });
  });

  it("can be copied", async () => {
    const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    await ask(panel, "Hello");
    panel.tell(panel.kernel.delta("Nice."), panel.kernel.end());
    await panel.replies.getByRole("button", { name: "Copy" }).click();
    expect(write).toHaveBeenCalledWith("Nice.");
    await expect
      .element(panel.replies.getByRole("button", { name: "Copy" }))
      .toHaveAttribute("title", "Copied");
  });
});

describe("Reset chat", () => {
  it("empties the screen at the click and shows the new chat when it is there", async () => {
    await ask(panel, "My name is Ada.");
    panel.tell(panel.kernel.delta("Nice to meet you, A"));
    await expect.element(panel.replies).toBeVisible();
    await panel.reset.click();
    await expect.element(panel.replies).not.toBeInTheDocument();
    await expect.element(panel.prompts).not.toBeInTheDocument();
    await expect.element(panel.status).toHaveTextContent("Resetting chat…");
    await expect.element(panel.reset).toHaveAttribute("aria-disabled", "true");

    const { id } = lastSent(panel.transport.sent, "reset");
    panel.tell(panel.kernel.delta("da!"), panel.kernel.end("cancelled"));
    panel.tell(panel.kernel.newEpoch(id));
    await expect.element(panel.status).toHaveTextContent("Ready");
    await expect.element(panel.log).toHaveTextContent("Conversation handle 2 · 1 live · 1 closed");
    expect(panel.log.element().textContent).not.toContain("Ada");
  });

  it("is asked for once, however often it is clicked", async () => {
    await panel.reset.click();
    (panel.reset.element() as HTMLElement).click();
    expect(panel.transport.sent.filter((m) => m.type === "reset")).toHaveLength(1);
  });

  it("keeps what is being written", async () => {
    await panel.box.fill("A thought");
    await panel.reset.click();
    panel.tell(panel.kernel.newEpoch(lastSent(panel.transport.sent, "reset").id));
    await expect.element(panel.box).toHaveValue("A thought");
    await expect.element(panel.send).toHaveAttribute("aria-disabled", "false");
  });

  it("that failed says so, refuses to send, and offers Retry", async () => {
    await panel.reset.click();
    const { id } = lastSent(panel.transport.sent, "reset");
    const { kernel } = panel;
    panel.tell(
      kernel.newEpoch(id, "failed"),
      kernel.error({ request: id, message: "Out of memory.", retry: "reset" }),
    );
    await expect.element(page.getByRole("alert")).toHaveTextContent("Out of memory.");
    await panel.box.fill("Hello");
    await expect.element(panel.send).toHaveAttribute("aria-disabled", "true");
    await userEvent.keyboard("{Enter}");
    expect(sends()).toEqual([]);
    await page.getByRole("button", { name: "Retry" }).click();
    expect(lastSent(panel.transport.sent, "reset")).toMatchObject({ epoch: 2 });
    panel.tell(kernel.newEpoch(lastSent(panel.transport.sent, "reset").id));
    await expect.element(panel.send).toHaveAttribute("aria-disabled", "false");
  });
});

describe("a kernel that does not answer", () => {
  it("is shown as busy until it does", async () => {
    panel.unmount();
    panel = mount([], { lateAfterMs: 100 });
    await panel.reset.click();
    await expect.element(panel.status).toHaveTextContent("busy with a cell");
    panel.tell(panel.kernel.newEpoch(lastSent(panel.transport.sent, "reset").id));
    await expect.element(panel.status).toHaveTextContent("Ready");
  });
});

describe("scrolling", () => {
  const long: ChatMessage[] = Array.from({ length: 30 }, (_, i) => ({
    turn: i + 1,
    role: i % 2 ? "assistant" : "user",
    text: `Message ${i + 1}`,
    state: "done",
  }));
  const log = () => panel.log.element() as HTMLElement;
  const toEnd = () => log().scrollHeight - log().scrollTop - log().clientHeight;
  const jump = page.getByRole("button", { name: "Jump to latest" });

  /** So many messages are there, and their end is in sight. */
  async function settled(count: number) {
    await expect.poll(() => log().querySelectorAll("article").length).toBe(count);
    await expect.poll(toEnd).toBeLessThan(8);
  }

  /** The panel shows what it knows; no frame of it has been seen. */
  async function rendered() {
    for (let i = 0; i < 3; i++) await Promise.resolve();
  }

  /** What a change of the layout sets off has been seen. */
  async function frames(count = 8) {
    for (let i = 0; i < count; i++) await new Promise(requestAnimationFrame);
  }

  beforeEach(() => {
    panel.unmount();
    panel = mount(long);
  });

  it("follows the end while a reply streams", async () => {
    await ask(panel, "Go on");
    for (let i = 0; i < 20; i++) panel.tell(panel.kernel.delta(`line ${i}\n`));
    await expect.element(panel.replies.last()).toHaveTextContent("line 19");
    await expect.poll(toEnd).toBeLessThan(8);
  });

  it("keeps the end in sight when the panel becomes smaller", async () => {
    await ask(panel, "Go on");
    await expect.poll(toEnd).toBeLessThan(8);
    log().style.maxHeight = "100px";
    expect(toEnd()).toBeGreaterThan(8);
    await expect.poll(toEnd).toBeLessThan(8);
  });

  it("keeps the end in sight when the panel becomes smaller while earlier messages still come", async () => {
    await expect.element(panel.replies.last()).toBeInTheDocument();
    for (let height = 300; height > 100; height -= 5) {
      log().style.maxHeight = `${height}px`;
      await new Promise((resolve) => setTimeout(resolve));
    }
    await expect.element(page.getByText("Message 8", { exact: true })).toBeInTheDocument();
    await expect.poll(toEnd).toBeLessThan(8);
    expect(jump.elements()).toEqual([]);
  });

  it("stays where the user scrolled to, until asked to follow again", async () => {
    await ask(panel, "Go on");
    await settled(26);
    log().scrollTop -= 120;
    await expect.element(jump).toBeVisible();
    const top = log().scrollTop;
    for (let i = 0; i < 20; i++) panel.tell(panel.kernel.delta(`line ${i}\n`));
    await expect.element(panel.replies.last()).toHaveTextContent("line 19");
    expect(log().scrollTop).toBe(top);
    await jump.click();
    await expect.poll(toEnd).toBeLessThan(8);
    await expect.element(jump).not.toBeInTheDocument();
  });

  it("stays there too when text comes before the scrolling is told", async () => {
    await ask(panel, "Go on");
    await settled(26);
    log().scrollTop -= 120;
    const top = log().scrollTop;
    panel.tell(panel.kernel.delta("more\n".repeat(5)));
    await expect.element(panel.replies.last()).toHaveTextContent("more");
    expect(log().scrollTop).toBe(top);
  });

  it("keeps the end in sight while somebody writes a message of several lines", async () => {
    await settled(24);
    await panel.box.fill("a\nb\nc\nd\ne");
    await frames();
    await userEvent.keyboard("x");
    await frames();
    expect(toEnd()).toBeLessThan(8);
    expect(jump.elements()).toEqual([]);
  });

  it("stays where it is while somebody edits the last prompt", async () => {
    panel.tell(panel.kernel.snapshot(long.slice(0, 29)));
    await settled(24);
    const edit = panel.prompts.last().getByRole("button", { name: "Edit" });
    (edit.element() as HTMLElement).click();
    const editor = page.getByRole("textbox", { name: "Edited prompt" });
    await editor.fill("a\nb\nc\nd\ne");
    await frames();
    await userEvent.keyboard("x");
    await frames();
    expect(toEnd()).toBeLessThan(8);
    expect(jump.elements()).toEqual([]);
  });

  it("follows a reply that begins before the page has seen the text box shrink", async () => {
    await settled(24);
    await panel.box.fill("a\nb\nc\nd\ne\nf");
    await frames();
    panel.store.send(panel.store.state.draft);
    await rendered();
    const { id, text } = lastSent(panel.transport.sent, "send");
    const { kernel } = panel;
    panel.tell(kernel.prompt(text, id), kernel.reply(id), kernel.delta("Hello\n".repeat(5)));
    await frames();
    expect(toEnd()).toBeLessThan(8);
    expect(jump.elements()).toEqual([]);
  });

  describe("after somebody has scrolled to the beginning", () => {
    beforeEach(async () => {
      panel.unmount();
      panel = mount(long.slice(0, 8));
      await settled(8);
      log().scrollTop = 0;
      await expect.element(jump).toBeVisible();
    });

    it("follows again when so much goes that the chat fits", async () => {
      const { kernel } = panel;
      panel.tell(kernel.branch(2, []));
      await rendered();
      panel.tell(kernel.prompt("Go on", "theirs"), kernel.reply("theirs"));
      panel.tell(kernel.delta("line\n\n".repeat(40)));
      await expect.element(panel.replies.last()).toHaveTextContent("line");
      await expect.poll(toEnd).toBeLessThan(8);
      expect(jump.elements()).toEqual([]);
    });

    it("follows again when the panel becomes so large that the chat fits", async () => {
      (panel.root.querySelector(".gn-panel") as HTMLElement).style.height = "1200px";
      await expect.element(jump).not.toBeInTheDocument();
    });

    it.each([
      ["an edited prompt", () => panel.store.edit(7, "Otherwise")],
      ["a second reply", () => panel.store.regenerate(8)],
    ])("follows what comes of %s", async (_, go) => {
      go();
      const { id } = panel.transport.sent.at(-1) as { id: string };
      await expect
        .element(page.getByRole("region", { name: "Chat" }))
        .toHaveAttribute("data-busy", "true");
      const { kernel } = panel;
      panel.tell(kernel.branch(6, [{ ...(long[6] as ChatMessage), turn: 9, request: id }], id));
      panel.tell(kernel.reply(id), kernel.delta("line\n\n".repeat(40)));
      await expect.element(panel.replies.last()).toHaveTextContent("line");
      await expect.poll(toEnd).toBeLessThan(8);
      expect(jump.elements()).toEqual([]);
    });
  });
});
