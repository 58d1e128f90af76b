import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { page, userEvent } from "vitest/browser";
import type { ChatMessage } from "../../src/protocol";
import { lastSent, MODEL, SETTINGS } from "../support/kernel";
import { ask, type Mounted, mount } from "../support/mount";

const SAID: ChatMessage[] = [
  { turn: 1, role: "user", text: "My name is Ada.", state: "done" },
  { turn: 2, role: "assistant", text: "Hi Ada!", state: "done", finish_reason: "stop" },
  { turn: 3, role: "user", text: "Who am I?", state: "done" },
  { turn: 4, role: "assistant", text: "You are Ada.", state: "done", finish_reason: "stop" },
];

let panel: Mounted;

beforeEach(() => {
  panel = mount(SAID);
});

afterEach(() => panel.unmount());

const button = (name: string) => page.getByRole("button", { name, exact: true });
const sent = () => panel.transport.sent.map((m) => m.type);
const click = (name: string) => (button(name).element() as HTMLElement).click();

describe("going back", () => {
  it("Regenerate and Undo stand at the last reply alone", async () => {
    await expect.element(button("Regenerate")).toBeVisible();
    expect(button("Regenerate").elements()).toHaveLength(1);
    expect(button("Undo").elements()).toHaveLength(1);
    await button("Regenerate").click();
    expect(lastSent(panel.transport.sent, "regenerate")).toMatchObject({ turn: 4, epoch: 1 });
    await expect.element(button("Undo")).not.toBeInTheDocument();
  });

  it("Undo takes the turn off the screen and its prompt back to the text box", async () => {
    await button("Undo").click();
    const { id } = lastSent(panel.transport.sent, "undo");
    panel.tell(panel.kernel.branch(2, [], id), panel.kernel.state("idle", id));
    await expect.element(panel.box).toHaveValue("Who am I?");
    expect(panel.replies.elements()).toHaveLength(1);
  });

  it("Edit happens in place, and Escape leaves everything as it was", async () => {
    await panel.prompts.first().getByRole("button", { name: "Edit", exact: true }).click();
    const box = page.getByRole("textbox", { name: "Edited prompt" });
    await expect.element(box).toHaveFocus();
    await box.fill("My name is Grace.");
    await userEvent.keyboard("{Escape}");
    await expect.element(panel.prompts.first()).toHaveTextContent("My name is Ada.");
    await expect
      .element(panel.prompts.first().getByRole("button", { name: "Edit", exact: true }))
      .toHaveFocus();
    expect(sent()).not.toContain("edit");
  });

  it("Enter in an edited prompt sends it in the place of the old one", async () => {
    await panel.prompts.first().getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByRole("textbox", { name: "Edited prompt" }).fill("My name is Grace.");
    await userEvent.keyboard("{Enter}");
    const { id, turn, text } = lastSent(panel.transport.sent, "edit");
    expect([turn, text]).toEqual([1, "My name is Grace."]);
    const edited = { ...SAID[0], turn: 5, text, branch: { index: 2, count: 2 } } as ChatMessage;
    panel.tell(panel.kernel.branch(null, [edited], id));
    await expect.element(panel.prompts).toHaveTextContent("My name is Grace.");
    await expect.element(panel.prompts).toHaveTextContent("2/2");
    await button("Previous alternative").click();
    expect(lastSent(panel.transport.sent, "switch")).toMatchObject({ turn: 5, index: 1 });
  });

  it("is not offered while a reply is on its way", async () => {
    await ask(panel, "And now?");
    await expect.element(button("Edit")).not.toBeInTheDocument();
  });
});

describe("the keyboard", () => {
  it("↑ brings earlier prompts back into the empty box, ↓ goes the other way", async () => {
    await panel.box.click();
    await userEvent.keyboard("{ArrowUp}");
    await expect.element(panel.box).toHaveValue("Who am I?");
    await userEvent.keyboard("{ArrowUp}");
    await expect.element(panel.box).toHaveValue("My name is Ada.");
    await userEvent.keyboard("{ArrowUp}{ArrowDown}");
    await expect.element(panel.box).toHaveValue("Who am I?");
    await userEvent.keyboard("{ArrowDown}");
    await expect.element(panel.box).toHaveValue("");
  });

  it("↑ leaves what is being written alone", async () => {
    await panel.box.fill("A thought");
    await userEvent.keyboard("{ArrowUp}");
    await expect.element(panel.box).toHaveValue("A thought");
  });

  it.each([
    ["r", "reset"],
    ["g", "regenerate"],
    ["z", "undo"],
  ])("Alt+%s asks for %s", async (key, type) => {
    await panel.box.click();
    await userEvent.keyboard(`{Alt>}${key}{/Alt}`);
    expect(sent()).toContain(type);
  });

  it("takes one turn back however long Alt+Z is held", () => {
    const held = { code: "KeyZ", key: "z", altKey: true, bubbles: true, cancelable: true };
    const press = (repeat: boolean) => {
      const event = new KeyboardEvent("keydown", { ...held, repeat });
      panel.box.element().dispatchEvent(event);
      return event;
    };
    press(false);
    const { id } = lastSent(panel.transport.sent, "undo");
    panel.tell(panel.kernel.branch(2, [], id), panel.kernel.state("idle", id));
    expect(press(true).defaultPrevented).toBe(true);
    expect(sent().filter((type) => type === "undo")).toHaveLength(1);
  });

  describe("on a Mac", () => {
    /** A key that types `key` with Option, as layouts there have it. */
    const press = (code: string, key: string, more: KeyboardEventInit = {}) => {
      const where = document.activeElement ?? document.body;
      const event = { code, key, altKey: true, bubbles: true, cancelable: true, ...more };
      return where.dispatchEvent(new KeyboardEvent("keydown", event));
    };

    beforeEach(() => {
      panel.unmount();
      vi.spyOn(navigator, "platform", "get").mockReturnValue("MacIntel");
      panel = mount(SAID);
    });
    afterEach(() => vi.restoreAllMocks());

    it.each([
      ["KeyZ", "ż"],
      ["KeyR", "®"],
      ["KeyG", "©"],
      ["KeyP", "π"],
      ["KeyZ", "Dead"],
    ])("%s with Option types %s in a text field and does nothing else", async (code, key) => {
      await panel.box.click();
      const before = sent();
      expect(press(code, key)).toBe(true);
      expect(sent()).toEqual(before);
      expect(page.getByRole("textbox", { name: "Edited prompt" }).elements()).toEqual([]);
    });

    it.each([
      ["KeyR", "reset"],
      ["KeyG", "regenerate"],
      ["KeyZ", "undo"],
    ])("%s with Control and Option asks for %s", async (code, type) => {
      await panel.box.click();
      expect(press(code, "?", { ctrlKey: true })).toBe(false);
      expect(sent()).toContain(type);
    });

    it("Option is enough outside of text fields", async () => {
      (panel.log.element() as HTMLElement).focus();
      expect(press("KeyG", "©")).toBe(false);
      expect(sent()).toContain("regenerate");
    });

    it("the help and the buttons name the keys that work there", async () => {
      await button("Keyboard shortcuts").click();
      for (const key of ["R", "G", "P", "Z"]) {
        await expect.element(page.getByText(`Ctrl+Option+${key}`, { exact: true })).toBeVisible();
      }
      const { title, ariaKeyShortcuts } = button("Undo").element() as HTMLElement & {
        ariaKeyShortcuts: string | null;
      };
      expect(title).toContain("(Ctrl+Option+Z)");
      expect(ariaKeyShortcuts).toBe("Control+Alt+Z");
    });
  });

  it("Control with Alt is left to the characters that it types elsewhere", async () => {
    await panel.box.click();
    const event = { code: "KeyZ", key: "ż", altKey: true, ctrlKey: true, bubbles: true };
    panel.box.element().dispatchEvent(new KeyboardEvent("keydown", event));
    expect(sent()).not.toContain("undo");
  });

  it("Alt+P edits the last prompt, and Escape stops a reply", async () => {
    await panel.box.click();
    await userEvent.keyboard("{Alt>}p{/Alt}");
    await expect
      .element(page.getByRole("textbox", { name: "Edited prompt" }))
      .toHaveValue("Who am I?");
    await userEvent.keyboard("{Escape}");
    await ask(panel, "And now?");
    await panel.box.click();
    await userEvent.keyboard("{Escape}");
    expect(sent()).toContain("stop");
  });

  it("has a help that lists its shortcuts and goes with Escape", async () => {
    await button("Keyboard shortcuts").click();
    await expect.element(page.getByText("Alt+R")).toBeVisible();
    await userEvent.keyboard("{Escape}");
    await expect.element(page.getByText("Alt+R")).not.toBeInTheDocument();
    await expect.element(button("Keyboard shortcuts")).toHaveFocus();
  });
});

describe("the focus", () => {
  it("goes to the text box when the control that has it is hidden or goes", async () => {
    await expect.element(button("Regenerate")).toBeVisible();
    (button("Regenerate").element() as HTMLElement).focus();
    await userEvent.keyboard("{Enter}");
    await expect.element(panel.box).toHaveFocus();
    const { id } = lastSent(panel.transport.sent, "regenerate");
    panel.tell(panel.kernel.branch(3, [], id), panel.kernel.reply(id), panel.kernel.end());
    panel.tell(panel.kernel.state("idle"));
    await panel.reset.click();
    panel.tell(panel.kernel.newEpoch(lastSent(panel.transport.sent, "reset").id));
    await expect.element(panel.reset).toHaveFocus();
    await button("Save it").click();
    await button("Dismiss").click();
    await expect.element(panel.box).toHaveFocus();
  });

  it("goes to the text box when an edited prompt is sent", async () => {
    await panel.prompts.first().getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByRole("textbox", { name: "Edited prompt" }).fill("My name is Grace.");
    await userEvent.keyboard("{Enter}");
    await expect.element(panel.box).toHaveFocus();
  });

  it("stays elsewhere when somebody is elsewhere", async () => {
    const other = document.body.appendChild(document.createElement("input"));
    other.focus();
    await ask(panel, "Hello");
    other.focus();
    panel.tell(panel.kernel.end(), panel.kernel.state("idle"));
    await expect.element(panel.send).toBeVisible();
    expect(document.activeElement).toBe(other);
    other.remove();
  });
});

describe("thinking and tools", () => {
  it("thoughts are open while they come and folded when the answer begins", async () => {
    await ask(panel, "Hard one");
    panel.tell(panel.kernel.think("Let me see.", 0));
    await expect.element(page.getByText("Let me see.")).toBeVisible();
    panel.tell(panel.kernel.delta("42"));
    await expect.element(page.getByText("Let me see.")).not.toBeInTheDocument();
    await button("Thoughts").click();
    await expect.element(page.getByText("Let me see.")).toBeVisible();
    panel.tell(panel.kernel.end());
    await expect.element(page.getByText("Let me see.")).toBeVisible();
  });

  it("a tool asks, is allowed, and becomes a row with arguments and result", async () => {
    await ask(panel, "Delete it");
    const call = { id: "7", name: "delete_file", arguments: { path: "/tmp/x" } };
    panel.tell(panel.kernel.next("tool", { turn: 6, call: { ...call, state: "asking" } }));
    const question = page.getByRole("group", { name: "Permission for delete_file" });
    await expect.element(question).toHaveTextContent("/tmp/x");
    await expect.element(panel.status).toHaveTextContent("asks whether it may call delete_file");
    await question.getByRole("button", { name: "Allow" }).click();
    const decision = lastSent(panel.transport.sent, "tool_decision");
    expect(decision).toMatchObject({ call: "7", allow: true });
    const done = { ...call, state: "done", result: "<b>gone</b>" };
    panel.tell(panel.kernel.next("tool", { turn: 6, call: done }));
    await expect.element(question).not.toBeInTheDocument();
    await page.getByRole("button", { name: /delete_file/ }).click();
    await expect.element(page.getByText("<b>gone</b>")).toBeVisible();
  });
});

describe("a question about a tool", () => {
  const call = { id: "7", name: "delete_file", arguments: { path: "/tmp/x" } };
  const asks = (one = call) =>
    panel.tell(panel.kernel.next("tool", { turn: 6, call: { ...one, state: "asking" } }));
  const decisions = () => panel.transport.sent.filter((m) => m.type === "tool_decision");

  beforeEach(async () => {
    await ask(panel, "Delete it");
    asks();
  });

  it.each([
    "\\smash{\\rule{300em}{300em}}",
    "\\raisebox{12em}{\\colorbox{white}{\\text{safe}}}",
    "\\rule[12em]{20em}{20em}",
  ])("is not painted over by the reply: %s", async (tex) => {
    panel.tell(panel.kernel.delta(`So $${tex}$ it is.`));
    await expect.poll(() => panel.replies.last().element().querySelector("math")).not.toBeNull();
    const question = page.getByRole("group", { name: "Permission for delete_file" }).element();
    question.scrollIntoView();
    const { left, top, right, bottom } = question.getBoundingClientRect();
    for (let x = left + 2; x < right; x += 20) {
      for (let y = top + 2; y < bottom; y += 10) {
        expect(document.elementFromPoint(x, y)?.closest(".gn-markdown") ?? null).toBeNull();
      }
    }
  });

  it("shows what is not seen of the arguments", async () => {
    const path = "/tmp/\u202Etxt\u2066\u2069\u200B\u{E0041}\u0085x";
    asks({ ...call, arguments: { path } });
    const seen = page.getByRole("group", { name: "Permission for delete_file" });
    await expect
      .element(seen)
      .toHaveTextContent('"/tmp/\\u202etxt\\u2066\\u2069\\u200b\\udb40\\udc41\\u0085x"');
  });

  it("shows what stands behind many spaces, and of which kind they are", async () => {
    asks({ ...call, arguments: { path: `a\u00a0b${" ".repeat(1_000)}c` } });
    const seen = page.getByRole("group", { name: "Permission for delete_file" });
    await expect.element(seen).toHaveTextContent(`a\\u00a0b${"\\u0020".repeat(1_000)}c`);
  });

  it.each(["Allow", "Deny"])("is answered once by a double click on %s", async (name) => {
    await button(name).dblClick();
    expect(decisions()).toMatchObject([{ call: "7", allow: name === "Allow" }]);
  });

  it("is not answered by the second click of a double click on the one before", async () => {
    await button("Allow").click();
    panel.tell(panel.kernel.next("tool", { turn: 6, call: { ...call, state: "running" } }));
    asks({ ...call, id: "8" });
    await expect.element(button("Allow")).toHaveAttribute("aria-disabled", "false");
    const click = new MouseEvent("click", { bubbles: true, detail: 2 });
    button("Allow").element().dispatchEvent(click);
    expect(decisions()).toMatchObject([{ call: "7" }]);
  });

  it("takes no other answer until the kernel has got the first", async () => {
    for (const name of ["Allow", "Deny"]) {
      await expect.element(button(name)).toHaveAttribute("aria-disabled", "false");
    }
    await button("Allow").click();
    for (const name of ["Allow", "Deny"]) {
      await expect.element(button(name)).toHaveAttribute("aria-disabled", "true");
      click(name);
    }
    expect(decisions()).toMatchObject([{ call: "7", allow: true }]);
    panel.tell(panel.kernel.state("generating", decisions()[0]?.id));
    await expect.element(button("Allow")).toHaveAttribute("aria-disabled", "false");
  });
});

describe("Reset chat", () => {
  it("asks nothing, and afterwards offers to save the old chat without showing it", async () => {
    await panel.reset.click();
    panel.tell(panel.kernel.newEpoch(lastSent(panel.transport.sent, "reset").id));
    await expect.element(button("Save it")).toBeVisible();
    expect(panel.root.textContent).not.toContain("Ada");
    await button("Save it").click();
    expect(lastSent(panel.transport.sent, "export").messages).toHaveLength(4);
    await button("Dismiss").click();
    await expect.element(page.getByText("last chat")).not.toBeInTheDocument();
  });
});

describe("what was said is saved", () => {
  it("of many closed chats by offers that leave the text box in its place", async () => {
    const ids = Array.from({ length: 10 }, (_, i) => String(i + 1));
    panel.tell({ type: "chats", chats: ids.map((id) => ({ id, name: `Chat ${id}` })) });
    for (const chat of ids.slice(1)) {
      const said: ChatMessage[] = [{ turn: 1, role: "user", text: `In ${chat}`, state: "done" }];
      panel.tell({ ...panel.kernel.snapshot(said), chat, seq: 1 });
    }
    const box = () => panel.box.element().getBoundingClientRect().bottom;
    for (const id of ids.slice(1)) panel.hub.closeChat(id);
    await expect.poll(() => button("Save it").elements().length).toBe(9);
    await expect.element(page.getByText("the closed chat “In 7”.")).toBeInTheDocument();
    const frame = panel.root.querySelector(".gn-panel") as HTMLElement;
    expect(box()).toBeLessThan(frame.getBoundingClientRect().bottom);
    expect(frame.scrollHeight).toBeLessThanOrEqual(frame.clientHeight);
    expect(panel.log.element().clientHeight).toBeGreaterThan(100);
  });
});

describe("Settings", () => {
  it("say what the model cannot do", async () => {
    await button("Settings").click();
    const thinking = page.getByRole("switch", { name: "Thinking" });
    await expect.element(thinking).toHaveAttribute("aria-disabled", "true");
    await expect.element(page.getByText("tiny does not think before it answers.")).toBeVisible();
    await expect.element(page.getByText("This chat was made without tools")).toBeVisible();
    (thinking.element() as HTMLElement).click();
    await expect.element(thinking).not.toBeChecked();
  });

  it("wait for the next chat", async () => {
    await button("Settings").click();
    await page.getByRole("spinbutton", { name: "Top-k" }).fill("40");
    await page.getByRole("textbox", { name: "System instruction" }).fill("Be brief.");
    await button("Keep for the next chat").click();
    const { options, id } = lastSent(panel.transport.sent, "options");
    expect(options).toEqual({ top_k: 40, system_instruction: "Be brief." });
    const pending = { ...SETTINGS.options, ...options };
    const settings = { ...SETTINGS, pending };
    panel.tell(panel.kernel.next("settings", { settings, request: id }));
    await expect.element(page.getByText("These changes wait for the next chat")).toBeVisible();
    expect(sent()).not.toContain("reset");
    await button("Discard changes").click();
    expect(lastSent(panel.transport.sent, "options").options).toBeNull();
  });

  it("begin at once by a new chat, when they were accepted", async () => {
    await button("Settings").click();
    await page.getByRole("spinbutton", { name: "Top-k" }).fill("40");
    await button("Start a new chat with these").click();
    expect(sent()).not.toContain("reset");
    const { id } = lastSent(panel.transport.sent, "options");
    panel.tell(panel.kernel.next("settings", { settings: SETTINGS, request: id }));
    expect(sent()).toContain("reset");
  });

  it.each([
    ["Temperature", "0.75", { temperature: 0.75 }],
    ["Top-p", "0.92", { top_p: 0.92 }],
  ])("take any number within its range: %s %s", async (name, text, expected) => {
    await button("Settings").click();
    await page.getByRole("spinbutton", { name }).fill(text);
    await button("Keep for the next chat").click();
    expect(lastSent(panel.transport.sent, "options").options).toEqual(expected);
  });

  it("can be cleared and written anew", async () => {
    await button("Settings").click();
    const field = page.getByRole("spinbutton", { name: "Top-k" });
    await field.click();
    await userEvent.keyboard("{End}{Backspace}");
    await expect.element(field).toHaveValue(null);
    await userEvent.keyboard("40");
    await expect.element(field).toHaveValue(40);
  });

  it.each([
    ["Top-k", "", "Top-k must be a whole number of at least 1."],
    ["Top-k", "2.5", "Top-k must be a whole number of at least 1."],
    ["Top-p", "1.5", "Top-p must be a number from 0 to 1, or empty."],
  ])("that are no such number are not applied: %s “%s”", async (name, text, why) => {
    await button("Settings").click();
    const field = page.getByRole("spinbutton", { name });
    for (const apply of ["Keep for the next chat", "Start a new chat with these"]) {
      await field.fill(text);
      await button(apply).click();
      await expect.element(page.getByRole("alert")).toHaveTextContent(why);
      await expect.element(field).toHaveFocus();
      await field.fill("1");
      await expect.element(page.getByRole("alert")).not.toBeInTheDocument();
    }
    expect(sent()).not.toContain("options");
  });

  it("that cannot work are refused where they were made", async () => {
    await button("Settings").click();
    await page.getByRole("spinbutton", { name: "Top-p" }).fill("0");
    await button("Keep for the next chat").click();
    const { id } = lastSent(panel.transport.sent, "options");
    panel.tell(panel.kernel.error({ request: id, message: "top_p=0 would leave no token" }));
    await expect
      .element(page.getByRole("region", { name: "Settings" }))
      .toHaveTextContent("top_p=0 would leave no token");
  });

  it("go with Escape, and the focus returns", async () => {
    await button("Settings").click();
    await expect.element(page.getByRole("heading", { name: "Settings" })).toHaveFocus();
    await userEvent.keyboard("{Escape}");
    await expect.element(page.getByRole("region", { name: "Settings" })).not.toBeInTheDocument();
    await expect.element(button("Settings")).toHaveFocus();
  });
});

describe("Under the hood", () => {
  it("shows each handle's life, as a table too, and asks again when something has happened", async () => {
    await button("Under the hood").click();
    const asks = () => panel.transport.sent.filter((m) => m.type === "hood_request").length;
    await expect.poll(asks).toBe(1);
    const life = {
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
    const live = { ...life, handle: 2, created_s: 4, spent_s: null, closed_s: null, current: true };
    const { handles } = panel.kernel.condition("idle");
    const request = lastSent(panel.transport.sent, "hood_request").id;
    const lives = [life, live];
    panel.tell(panel.kernel.next("hood", { request, now_s: 9, earlier: 0, handles, lives }));
    const rows = page.getByRole("table").getByRole("row");
    await expect.poll(() => rows.elements().length).toBe(3);
    await expect.element(rows.nth(1)).toHaveTextContent("live, this chat");
    await expect.element(rows.nth(2)).toHaveTextContent("closed at 4.0 s, memory freed");
    panel.tell(panel.kernel.newEpoch());
    await expect.poll(asks).toBe(2);
  });
});

describe("the rest", () => {
  it("starter prompts are sent by a click", async () => {
    panel.unmount();
    panel = mount();
    panel.tell(panel.kernel.snapshot([], { prompts: ["What can you do?"] }));
    await button("What can you do?").click();
    expect(lastSent(panel.transport.sent, "send").text).toBe("What can you do?");
  });

  it("a model of text only takes no files and says so", async () => {
    await expect.element(button("Attach files")).toHaveAttribute("aria-disabled", "true");
    expect(button("Attach files").element().getAttribute("title")).toContain("text only");
  });

  it("an image that is dropped goes with the next prompt", async () => {
    const vision = { ...MODEL, modalities: ["text", "vision"] };
    panel.tell(panel.kernel.snapshot(SAID, { model: vision }));
    await expect.element(button("Attach files")).toHaveAttribute("aria-disabled", "false");
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["png"], "cat.png", { type: "image/png" }));
    panel.box
      .element()
      .dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer }));
    await expect.element(page.getByRole("list", { name: "Attached files" })).toBeVisible();
    await panel.box.fill("What is it?");
    await panel.send.click();
    expect(lastSent(panel.transport.sent, "send").files).toMatchObject([{ name: "cat.png" }]);
    expect(panel.transport.buffers.at(-1)?.[0]?.byteLength).toBe(3);
  });

  describe("what is pasted", () => {
    const paste = (file?: File) => {
      const clipboardData = new DataTransfer();
      if (file) clipboardData.items.add(file);
      else clipboardData.setData("text/plain", "some words");
      const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData });
      panel.box.element().dispatchEvent(event);
      return event;
    };
    const take = async (modality: string) => {
      panel.tell(
        panel.kernel.snapshot(SAID, { model: { ...MODEL, modalities: ["text", modality] } }),
      );
      await expect.element(button("Attach files")).toHaveAttribute("aria-disabled", "false");
    };

    it("goes with the next prompt when it is a picture or a sound that the model takes", async () => {
      for (const [modality, type, name] of [
        ["vision", "image/png", "cat.png"],
        ["audio", "audio/wav", "cat.wav"],
      ] as const) {
        await take(modality);
        expect(paste(new File(["data"], name, { type })).defaultPrevented).toBe(true);
        await expect.element(button(`Remove ${name}`)).toBeVisible();
        await button(`Remove ${name}`).click();
      }
    });

    it("is refused with the reason when the model does not take it", async () => {
      await take("vision");
      paste(new File(["data"], "cat.wav", { type: "audio/wav" }));
      await expect.element(page.getByRole("alert")).toHaveTextContent("takes no sound");
      await expect
        .element(page.getByRole("list", { name: "Attached files" }))
        .not.toBeInTheDocument();
    });

    it("goes with the next prompt though its name comes with it, as from a Mac's Finder", async () => {
      await take("vision");
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", "cat.png");
      clipboardData.items.add(new File(["data"], "cat.png", { type: "image/png" }));
      const event = new ClipboardEvent("paste", { cancelable: true, clipboardData });
      panel.box.element().dispatchEvent(event);
      expect(event.defaultPrevented).toBe(true);
      await expect.element(button("Remove cat.png")).toBeVisible();
    });

    it("is left to the text field when it is text, also with a picture of it", () => {
      expect(paste().defaultPrevented).toBe(false);
      const clipboardData = new DataTransfer();
      clipboardData.setData("text/plain", "A1\tB1");
      clipboardData.setData("text/html", "<table></table>");
      clipboardData.items.add(new File(["data"], "image.png", { type: "image/png" }));
      const event = new ClipboardEvent("paste", { cancelable: true, clipboardData });
      panel.box.element().dispatchEvent(event);
      expect(event.defaultPrevented).toBe(false);
    });
  });

  describe("in a shadow root", () => {
    beforeEach(() => {
      panel.unmount();
      panel = mount(SAID, { shadow: true });
    });
    const focus = () => panel.root.shadowRoot?.activeElement;

    it("a menu can be used by mouse and goes with a click elsewhere", async () => {
      await button("Export").click();
      await button("Markdown").click();
      expect(lastSent(panel.transport.sent, "export")).toMatchObject({ format: "markdown" });
      await button("Export").click();
      await panel.box.click();
      await expect.element(button("Markdown")).not.toBeInTheDocument();
      await button("Export").click();
      await userEvent.click(document.body);
      await expect.element(button("Markdown")).not.toBeInTheDocument();
    });

    it("the focus comes back from a drawer, and goes to the text box when its control goes", async () => {
      await button("Settings").click();
      await userEvent.keyboard("{Escape}");
      await expect.poll(focus).toBe(button("Settings").element());
      (button("Undo").element() as HTMLElement).focus();
      await userEvent.keyboard("{Enter}");
      const { id } = lastSent(panel.transport.sent, "undo");
      panel.tell(panel.kernel.branch(2, [], id), panel.kernel.state("restoring", id));
      await expect.poll(focus).toBe(panel.box.element());
    });
  });

  it("an export is asked for in the format that was chosen", async () => {
    await button("Export").click();
    await button("HTML").click();
    expect(lastSent(panel.transport.sent, "export")).toMatchObject({ format: "html" });
  });

  it("raw text can be looked at", async () => {
    const raw = panel.replies.last().getByRole("button", { name: "Raw text" });
    await raw.click();
    await expect.element(raw).toHaveAttribute("aria-pressed", "true");
  });

  it("a nearly full context says what goes next", async () => {
    const full = { context: { tokens: 1000, limit: 1024 } };
    panel.tell({ ...panel.kernel.state("idle"), ...full });
    await expect.element(page.getByText(/forgotten first: “My name is Ada.”/)).toBeVisible();
  });

  it("an interrupt is offered where the host allows one, while the kernel is busy", async () => {
    panel.unmount();
    panel = mount(SAID, { lateAfterMs: 100 });
    const interrupt = vi.fn();
    panel.transport.interrupt = interrupt;
    await panel.reset.click();
    await expect.element(panel.status).toHaveTextContent("busy with a cell");
    await button("Interrupt the cell").click();
    expect(interrupt).toHaveBeenCalledOnce();
  });

  describe("of a long chat", () => {
    const long = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ ...SAID[i % 4], turn: i + 1 })) as ChatMessage[];
    const shown = () => page.getByRole("article").elements();
    const log = () => panel.log.element();
    const toEnd = () => log().scrollHeight - log().scrollTop - log().clientHeight;

    /** Scrolls on and on until `done`. */
    async function scroll(by: number, done: () => boolean) {
      await expect
        .poll(
          () => {
            log().scrollTop += by;
            return done();
          },
          { interval: 20 },
        )
        .toBe(true);
    }

    beforeEach(() => {
      panel.unmount();
      panel = mount(long(200));
    });

    it("the end is there, and the rest for who asks or scrolls up", async () => {
      await expect.poll(() => shown().length).toBe(24);
      await expect.poll(toEnd).toBeLessThanOrEqual(1);
      const top = shown()[0] as Element;
      log().scrollTop = 100;
      const where = top.getBoundingClientRect().top;
      await expect.poll(() => shown().length).toBeGreaterThanOrEqual(48);
      expect(Math.abs(top.getBoundingClientRect().top - where)).toBeLessThan(2);
      const { length } = shown();
      click(`${200 - length} earlier messages`);
      await expect.poll(() => shown().length).toBeGreaterThan(length);
    });

    it("only a part is on the page, wherever one reads", async () => {
      let most = 0;
      const watch = (done: boolean) => {
        most = Math.max(most, shown().length);
        return done;
      };
      const atFirst = () => page.getByText("earlier messages").elements().length === 0;
      await expect.poll(() => shown().length).toBe(24);
      await scroll(-200, () => watch(log().scrollTop === 0 && atFirst()));
      await expect.element(page.getByText("later messages")).toBeInTheDocument();
      await scroll(200, () => watch(toEnd() < 1));
      await expect.poll(() => page.getByText("later messages").elements().length).toBe(0);
      expect(most).toBeLessThan(100);
    });

    it("who is far up goes back to the end by a click, and by sending", async () => {
      for (const go of [
        () => click("Jump to latest"),
        async () => {
          await panel.box.fill("And now?");
          await panel.send.click();
        },
      ]) {
        await expect.poll(() => shown().length).toBeGreaterThanOrEqual(24);
        await scroll(-200, () => page.getByText("later messages").elements().length > 0);
        let most = 0;
        const watch = new MutationObserver(() => {
          most = Math.max(most, shown().length);
        });
        watch.observe(panel.root, { subtree: true, childList: true });
        log().scrollTop = 0; // while earlier ones come
        await new Promise(requestAnimationFrame);
        await go();
        await expect.poll(() => page.getByText("later messages").elements().length).toBe(0);
        await expect.poll(() => shown().length).toBeGreaterThanOrEqual(24);
        await expect.poll(toEnd).toBeLessThanOrEqual(1);
        watch.disconnect();
        expect(most).toBeLessThan(100);
      }
    });

    it("a prompt that is being edited can leave the page, and is as it was when it comes back", async () => {
      await expect.poll(() => shown().length).toBe(24);
      const edit = panel.prompts.last().getByRole("button", { name: "Edit" });
      (edit.element() as HTMLElement).click();
      const editor = () => page.getByRole("textbox", { name: "Edited prompt" });
      await editor().fill("Half written");
      await scroll(-200, () => editor().elements().length === 0);
      await scroll(200, () => editor().elements().length === 1);
      await expect.element(editor()).toHaveValue("Half written");
    });

    it("Alt+P edits the last prompt, wherever one reads", async () => {
      const last = { turn: 201, role: "user", text: "The last", state: "done" } as const;
      panel.tell(panel.kernel.snapshot([...long(200), last]));
      await expect.poll(() => shown().length).toBeGreaterThanOrEqual(24);
      await scroll(-200, () => page.getByText("later messages").elements().length > 0);
      panel.box
        .element()
        .dispatchEvent(
          new KeyboardEvent("keydown", { code: "KeyP", key: "p", altKey: true, bubbles: true }),
        );
      await expect
        .element(page.getByRole("textbox", { name: "Edited prompt" }))
        .toHaveValue("The last");
    });

    it("who had the focus in a message that left the page can go on scrolling with the keys", async () => {
      await expect.poll(() => shown().length).toBe(24);
      const copy = panel.replies.last().getByRole("button", { name: "Copy" });
      (copy.element() as HTMLElement).focus();
      await scroll(
        -200,
        () => !log().contains(document.activeElement) || document.activeElement === log(),
      );
      expect(document.activeElement).toBe(log());
    });

    it("who turns round while earlier messages come stays where they are", async () => {
      await expect.poll(() => shown().length).toBe(24);
      await scroll(-200, () => page.getByText("later messages").elements().length > 0);
      log().scrollTop = 0;
      await expect.poll(() => log().scrollTop).toBeGreaterThan(0);
      log().scrollTop = log().scrollHeight;
      await new Promise((done) => log().addEventListener("scroll", done, { once: true }));
      const seen = shown().at(-1);
      await expect.poll(() => shown().at(-1)).not.toBe(seen);
      expect(seen?.isConnected).toBe(true);
    });

    it("what waits below a chat that hardly scrolls comes when one scrolls down", async () => {
      panel.unmount();
      panel = mount(long(6));
      await expect.poll(() => shown().length).toBe(6);
      await expect.poll(() => log().scrollHeight - log().clientHeight).toBeGreaterThan(20);
      log().scrollTop -= 15;
      await expect.element(button("Jump to latest")).toBeVisible();
      panel.tell(panel.kernel.snapshot(long(26)));
      await expect.element(page.getByText("20 later messages")).toBeInTheDocument();
      expect(log().scrollHeight - log().clientHeight).toBeLessThan(300);
      log().scrollTop = log().scrollHeight;
      await expect.poll(() => shown().length).toBeGreaterThan(6);
    });

    it("what comes at once while one reads further up moves nothing, and waits below", async () => {
      await expect.poll(() => shown().length).toBe(24);
      log().scrollTop = 400;
      await expect.element(button("Jump to latest")).toBeVisible();
      const top = shown().at(-1) as Element;
      const where = top.getBoundingClientRect().top;
      panel.tell(panel.kernel.snapshot(long(220)));
      await expect.element(page.getByText("20 later messages")).toBeInTheDocument();
      expect(Math.abs(top.getBoundingClientRect().top - where)).toBeLessThan(2);
      await scroll(200, () => toEnd() < 1);
      await expect.poll(() => page.getByText("later messages").elements().length).toBe(0);
    });
  });
});

describe("tabs", () => {
  const chats = (ids: string[], more: object = {}) =>
    panel.tell({ type: "chats", chats: ids.map((id) => ({ id, name: `Chat ${id}` })), ...more });

  it("appear with the second chat, each with its own state", async () => {
    await expect.element(page.getByRole("tablist")).not.toBeInTheDocument();
    await panel.box.fill("Unsent");
    await button("New tab").click();
    const { id } = lastSent(panel.transport.sent, "open_chat");
    chats(["1", "2"], { request: id, show: "2" });
    panel.tell({ ...panel.kernel.snapshot(), chat: "2", seq: 1 });
    const [first, second] = [page.getByRole("tab").first(), page.getByRole("tab").last()];
    await expect.element(second).toHaveAttribute("aria-selected", "true");
    await expect.element(panel.box).toHaveValue("");
    expect(panel.prompts.elements()).toHaveLength(0);
    await expect.element(first).toHaveTextContent("My name is Ada.");
    await second.click();
    await userEvent.keyboard("{ArrowLeft}");
    await expect.element(first).toHaveFocus();
    await expect.element(panel.box).toHaveValue("Unsent");
    await userEvent.keyboard("{Delete}");
    expect(lastSent(panel.transport.sent, "close_chat").close).toBe("1");
    await expect.element(page.getByRole("tablist")).not.toBeInTheDocument();
  });

  it("say which of them asks for permission, while another is shown", async () => {
    await ask(panel, "Delete it");
    chats(["1", "2"]);
    const second = page.getByRole("tab").last();
    await second.click();
    await expect.element(second).toHaveAttribute("aria-selected", "true");
    const call = { id: "7", name: "delete_file", arguments: {}, state: "asking" };
    panel.tell(panel.kernel.next("tool", { turn: 6, call }));
    const asking = page.getByRole("tab", { name: /asks for permission/ });
    await expect.element(asking).toHaveTextContent("My name is Ada.");
    await expect.element(panel.status).toHaveTextContent("whether it may call delete_file");
    await asking.click();
    await expect.element(asking).not.toBeInTheDocument();
  });

  it("are closed one by one, however long Delete is held", async () => {
    chats(["1", "2", "3"]);
    const selected = page.getByRole("tab", { selected: true });
    await expect.element(selected).toBeVisible();
    for (const repeat of [false, true]) {
      const event = { key: "Delete", bubbles: true, cancelable: true, repeat };
      selected.element().dispatchEvent(new KeyboardEvent("keydown", event));
    }
    expect(sent().filter((type) => type === "close_chat")).toHaveLength(1);
  });

  it("that cannot be opened say why", async () => {
    click("New tab");
    const { id } = lastSent(panel.transport.sent, "open_chat");
    chats(["1"], { request: id, error: "1 sessions are open; close one" });
    await expect.element(page.getByRole("alert")).toHaveTextContent("close one");
    await button("Dismiss").click();
    await expect.element(page.getByRole("alert")).not.toBeInTheDocument();
  });
});
