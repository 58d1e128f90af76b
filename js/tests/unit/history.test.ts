import { describe, expect, it } from "vitest";
import type { ChatMessage, KernelMessage, SettingsMessage } from "../../src/protocol";
import {
  describeStatus,
  forgotten,
  initialState,
  isReplying,
  nextForgotten,
  type PanelEvent,
  type PanelState,
  reduce,
  resetObstacle,
  sendObstacle,
} from "../../src/state";
import { ScriptedKernel, SETTINGS } from "../support/kernel";

function play(state: PanelState, ...events: (PanelEvent | KernelMessage)[]): PanelState {
  return events.reduce<PanelState>(
    (s, e) => reduce(s, "seq" in e ? { type: "received", message: e as KernelMessage } : e),
    state,
  );
}

const requested: PanelEvent = { type: "snapshot_requested", id: "q" };
const user = (turn: number, text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  turn,
  role: "user",
  text,
  state: "done",
  ...more,
});
const model = (turn: number, text: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  turn,
  role: "assistant",
  text,
  state: "done",
  ...more,
});
const SAID = [user(1, "One"), model(2, "1"), user(3, "Two"), model(4, "2")];

function afterTwoTurns() {
  const kernel = new ScriptedKernel();
  return { kernel, state: play(initialState, requested, kernel.snapshot(SAID)) };
}

const texts = (state: PanelState) => state.messages.map((m) => m.text);

describe("a branch", () => {
  it("takes the place of what followed", () => {
    const { kernel, state } = afterTwoTurns();
    const asked = play(state, { type: "asked", id: "e", request: "edit" });
    expect(sendObstacle(asked)).toBe("Wait until the model is at this point.");
    const edited = user(5, "Zwei", { branch: { index: 2, count: 2 } });
    const next = play(asked, kernel.branch(2, [edited], "e"));
    expect(texts(next)).toEqual(["One", "1", "Zwei"]);
    expect(next.messages[2]?.branch).toEqual({ index: 2, count: 2 });
    expect(next.asked).toEqual([]);
  });

  it("of everything begins at the beginning", () => {
    const { kernel, state } = afterTwoTurns();
    expect(texts(play(state, kernel.branch(null, [user(5, "Eins")])))).toEqual(["Eins"]);
  });

  it("after a message that is not there asks for a snapshot and changes nothing", () => {
    const { kernel, state } = afterTwoTurns();
    const next = play(state, kernel.branch(77, []));
    expect([next.sync, texts(next)]).toEqual(["stale", texts(state)]);
  });

  it("of a chat that was reset is not shown", () => {
    const { kernel, state } = afterTwoTurns();
    const reset = play(state, { type: "reset_clicked", id: "x" });
    expect(play(reset, kernel.branch(null, [user(5, "late")])).messages).toEqual([]);
  });
});

describe("an undo", () => {
  it("gives the prompt back to write anew, unless something else is being written", () => {
    const { state } = afterTwoTurns();
    expect(play(state, { type: "undo_clicked", id: "u" }).draft).toBe("Two");
    const writing = play(
      state,
      { type: "drafted", text: "Next" },
      { type: "undo_clicked", id: "u" },
    );
    expect(writing.draft).toBe("Next");
  });
});

describe("thinking and tools", () => {
  it("stream beside the text", () => {
    const { kernel, state } = afterTwoTurns();
    const next = play(
      state,
      kernel.prompt("Three", "r"),
      kernel.reply("r"),
      kernel.think("Hm. ", 0),
      kernel.think("👋", 4),
      kernel.delta("3"),
    );
    expect(next.messages.at(-1)).toMatchObject({ thinking: "Hm. 👋", text: "3" });
    expect(next.sync).toBe("fresh");
    expect(play(next, kernel.think("gap", 99)).sync).toBe("stale");
  });

  it("show each call once, as it stands", () => {
    const { kernel, state } = afterTwoTurns();
    const call = { id: "1", name: "weather", arguments: {}, state: "asking" } as const;
    const tool = (more: object) =>
      kernel.next("tool", { turn: 6, call: { ...call, ...more } }) as KernelMessage;
    const next = play(
      state,
      kernel.prompt("Three", "r"),
      kernel.reply("r"),
      tool({}),
      tool({ id: "2" }),
      tool({ state: "done", result: "rain" }),
    );
    expect(next.messages.at(-1)?.tool_calls).toEqual([
      { ...call, state: "done", result: "rain" },
      { ...call, id: "2" },
    ]);
  });

  it("of a chat that was reset are not shown", () => {
    const { kernel, state } = afterTwoTurns();
    const call = { id: "1", name: "x", arguments: {}, state: "asking" };
    const reset = play(state, { type: "reset_clicked", id: "x" });
    const late = kernel.next("tool", { turn: 4, call }) as KernelMessage;
    expect(play(reset, late, kernel.think("late", 0)).messages).toEqual([]);
  });
});

describe("settings", () => {
  it("that are refused say why, in their own place, until they are accepted", () => {
    const { kernel, state } = afterTwoTurns();
    const ask: PanelEvent = { type: "asked", id: "o", request: "options" };
    const refused = play(state, ask, kernel.error({ request: "o", message: "top_p=0" }));
    expect(refused).toMatchObject({ settingsError: "top_p=0", notice: null, asked: [] });
    const settings = { ...SETTINGS, pending: { ...SETTINGS.options, top_k: 40 } };
    const told = kernel.next("settings", { settings, request: "o" }) as KernelMessage;
    const accepted = play(refused, ask, told);
    expect(accepted).toMatchObject({ settings, settingsError: null, asked: [] });
  });
});

describe("a chat that was reset", () => {
  const click: PanelEvent = { type: "reset_clicked", id: "x" };

  it("is kept here, to be saved, until it is dismissed", () => {
    const { kernel, state } = afterTwoTurns();
    const reset = play(state, click, kernel.newEpoch("x"));
    expect(reset).toMatchObject({ messages: [], kept: [{ messages: SAID, saved: false }] });
    const dismiss: PanelEvent = { type: "kept_dismissed", messages: state.messages };
    expect(play(reset, dismiss).kept).toEqual([]);
  });

  const save = ({ messages }: PanelState): PanelEvent => ({
    type: "kept_save_clicked",
    id: "e",
    messages,
  });
  const exported = (kernel: ScriptedKernel, request: string) =>
    kernel.next("exported", { name: "a.md", media_type: "text/markdown", text: "", request });

  it("is saved when its file is there, and not before", () => {
    const { kernel, state } = afterTwoTurns();
    const asked = play(state, click, kernel.newEpoch("x"), save(state));
    expect(asked.kept).toMatchObject([{ saved: false }]);
    expect(play(asked, exported(kernel, "another's")).kept).toMatchObject([{ saved: false }]);
    expect(play(asked, exported(kernel, "e"))).toMatchObject({
      kept: [{ saved: true }],
      asked: [],
    });
  });

  it("is offered on when it could not be saved", () => {
    const { kernel, state } = afterTwoTurns();
    const asked = play(state, click, kernel.newEpoch("x"), save(state));
    expect(play(asked, kernel.error({ request: "e" })).kept).toMatchObject([{ saved: false }]);
    const failed: PanelEvent = { type: "request_failed", id: "e", message: "No kernel." };
    expect(play(asked, failed).kept).toMatchObject([{ messages: SAID, saved: false }]);
  });

  it("is saved whatever was missed before its file came", () => {
    const { kernel, state } = afterTwoTurns();
    const asked = play(state, click, kernel.newEpoch("x"), save(state));
    kernel.state("idle");
    const saved = play(asked, exported(kernel, "e"));
    expect(saved).toMatchObject({ kept: [{ saved: true }], sync: "stale" });
  });

  it("takes the place of the one before, and not of those whose tabs were closed", () => {
    const { kernel, state } = afterTwoTurns();
    const closed = {
      messages: [user(1, "A")],
      options: SETTINGS.options,
      closed: true,
      request: null,
      saved: false,
    };
    const given: PanelEvent = { type: "kept_given", kept: [closed] };
    const once = play(state, given, click, kernel.newEpoch("x"), kernel.snapshot([user(1, "B")]));
    expect(once.kept).toMatchObject([closed, { messages: SAID }]);
    const twice = play(once, { type: "reset_clicked", id: "y" });
    expect(twice.kept).toMatchObject([closed, { messages: [user(1, "B")] }]);
  });

  it("keeps the options that it had, whatever the next one has", () => {
    const { kernel, state } = afterTwoTurns();
    const options = { ...SETTINGS.options, system_instruction: "Be a pirate." };
    const reset = play(
      state,
      click,
      kernel.newEpoch("x"),
      kernel.next<SettingsMessage>("settings", { settings: { ...SETTINGS, options } }),
    );
    expect(reset.settings.options.system_instruction).toBe("Be a pirate.");
    expect(reset.kept).toMatchObject([{ options: SETTINGS.options }]);
  });

  it("is not forgotten for an empty one", () => {
    const { kernel, state } = afterTwoTurns();
    const again = play(state, click, kernel.newEpoch("x"), { type: "reset_clicked", id: "y" });
    expect(again.kept).toMatchObject([{ messages: SAID }]);
  });
});

describe("a turn that is taken back", () => {
  it("had files, which have to be attached again, and that is said", () => {
    const { kernel } = afterTwoTurns();
    const files = [{ name: "cat.png", type: "image/png", size: 3 }];
    const shown = play(
      initialState,
      kernel.snapshot([{ ...user(1, "Look"), files }, model(2, "A cat")]),
    );
    const undone = play(
      shown,
      { type: "undo_clicked", id: "u" },
      kernel.branch(null, [], "u"),
      kernel.state("restoring", "u"),
      kernel.state("idle"),
    );
    expect(undone.draft).toBe("Look");
    expect(undone.notice?.message).toContain("attach them again");
    const without = play(initialState, kernel.snapshot([user(1, "Hi"), model(2, "Hello")]));
    expect(play(without, { type: "undo_clicked", id: "u" }).notice).toBeNull();
  });
});

describe("a chat that an import takes the place of", () => {
  const asked: PanelEvent = { type: "asked", id: "i", request: "import" };
  const kept = [{ messages: SAID, saved: false }];

  it("is kept here, to be saved", () => {
    const { kernel, state } = afterTwoTurns();
    const begun = play(state, asked, kernel.state("resetting"));
    expect(begun).toMatchObject({ messages: [], kept });
    const imported = [user(1, "Other")];
    const next = play(begun, kernel.newEpoch("i"), kernel.snapshot(imported));
    expect(next).toMatchObject({ messages: imported, kept, asked: [] });
  });

  it("is kept too when a snapshot tells of the import", () => {
    const { kernel, state } = afterTwoTurns();
    kernel.epoch = 2;
    const told = kernel.snapshot([user(1, "Other")], { request: "q" });
    expect(play(state, asked, requested, told)).toMatchObject({ kept, asked: [] });
  });

  it("stays, and is not offered, when the import is refused", () => {
    const { kernel, state } = afterTwoTurns();
    const refused = play(state, asked, kernel.error({ request: "i" }));
    expect(refused).toMatchObject({ messages: SAID, kept: [] });
  });
});

describe("a kernel that is gone", () => {
  it("leaves a chat that can be read and nothing else", () => {
    const { state } = afterTwoTurns();
    const asked = play(state, { type: "asked", id: "e", request: "edit" });
    const gone = play(asked, { type: "lost", why: "The kernel has ended." });
    expect(texts(gone)).toEqual(["One", "1", "Two", "2"]);
    expect(describeStatus(gone)).toBe("The kernel has ended.");
    expect(sendObstacle(gone)).toBe("The kernel has ended.");
    expect(resetObstacle(gone)).toBe("The kernel has ended.");
    expect(gone.asked).toEqual([]);
  });
});

describe("a kernel that dies during a reply", () => {
  it("leaves a reply that has ended, and nothing to stop", () => {
    const { kernel, state } = afterTwoTurns();
    const started = play(state, kernel.prompt("Three", "r"), kernel.reply("r"), kernel.delta("Th"));
    const gone = play(started, kernel.state("generating"), { type: "lost", why: "It has ended." });
    expect(gone.messages.at(-1)).toMatchObject({ text: "Th", state: "cancelled" });
    expect(isReplying(gone)).toBe(false);
  });
});

describe("a full context", () => {
  it("forgets the oldest turns, and it is known which goes next", () => {
    const context = { tokens: 5, limit: 1024 };
    const state = { messages: SAID, context };
    expect([forgotten(state), nextForgotten(state)]).toEqual([0, "One"]);
    const trimmed = { messages: SAID, context: { ...context, forgotten_turns: 1 } };
    expect([forgotten(trimmed), nextForgotten(trimmed)]).toEqual([2, "Two"]);
    expect(nextForgotten({ messages: [], context })).toBeNull();
  });
});

describe("a kernel that does not answer", () => {
  it("is busy with a cell, and what waits for it is named", () => {
    const { state } = afterTwoTurns();
    const late = (request: "stop" | "edit") =>
      describeStatus(
        play(state, { type: "asked", id: "x", request }, { type: "unanswered", id: "x" }),
      );
    expect(late("stop")).toContain("busy with a cell: Stop will reach the model when it ends");
    expect(late("edit")).toContain("busy with a cell");
  });
});
