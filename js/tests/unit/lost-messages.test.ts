import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { KernelMessage } from "../../src/protocol";
import { describeStatus, PanelStore, sendObstacle } from "../../src/state";
import { MemoryTransport } from "../../src/transport/memory";
import { lastSent, MODEL, ScriptedKernel } from "../support/kernel";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const SAID = [
  { turn: 1, role: "user", text: "Hello", state: "done", request: "old" },
  { turn: 2, role: "assistant", text: "Hi", state: "done" },
] as const;

/** A chat after one turn, and a kernel that answers only when it is told to. */
function open() {
  const transport = new MemoryTransport();
  const kernel = new ScriptedKernel();
  const store = new PanelStore(transport);
  const tell = (...messages: KernelMessage[]) => {
    for (const message of messages) transport.receive(message);
  };
  const asked = () => transport.sent.filter((m) => m.type === "snapshot_request");
  /** The answer to the request for a snapshot that was sent last. */
  const answer = (more: Parameters<ScriptedKernel["snapshot"]>[1] = {}, messages = [...SAID]) =>
    kernel.snapshot(messages, {
      request: lastSent(transport.sent, "snapshot_request").id,
      ...more,
    });
  tell(answer());
  return { transport, kernel, store, tell, asked, answer };
}

/** Longer than a request may stay without an answer. */
const late = () => vi.advanceTimersByTime(1500);

describe("a snapshot that was lost", () => {
  it("is asked for again, each time after twice as long, until one comes", () => {
    const { kernel, store, tell, asked, answer } = open();
    kernel.state("idle");
    tell(kernel.state("idle"));
    expect([store.state.sync, asked().length]).toEqual(["asked", 2]);
    const times: number[] = [];
    for (let ms = 0; ms < 25_000; ms += 500) {
      const before = asked().length;
      vi.advanceTimersByTime(500);
      if (asked().length > before) times.push(ms + 500);
    }
    expect(times).toEqual([1500, 3000, 6000, 12_000, 24_000]);
    tell(answer());
    expect(store.state).toMatchObject({ sync: "fresh", asked: [] });
    const count = asked().length;
    vi.advanceTimersByTime(600_000);
    expect(asked()).toHaveLength(count);
  });

  it("at the beginning leaves no panel that is never ready", () => {
    const transport = new MemoryTransport();
    const store = new PanelStore(transport);
    const first = lastSent(transport.sent, "snapshot_request").id;
    late();
    const { id } = lastSent(transport.sent, "snapshot_request");
    expect(id).not.toBe(first);
    transport.receive(new ScriptedKernel().snapshot([], { request: id }));
    expect(store.state).toMatchObject({ ready: true, asked: [] });
  });
});

describe("an answer that was lost", () => {
  it.each(["regenerate", "edit", "undo", "switch"] as const)(
    "to %s leaves a chat that can be sent to",
    (what) => {
      const { store, tell, answer } = open();
      if (what === "regenerate") store.regenerate(2);
      else if (what === "edit") store.edit(1, "Hey");
      else if (what === "undo") store.undo();
      else store.switchTo(1, 2);
      expect(sendObstacle(store.state)).toBe("Wait until the model is at this point.");
      late();
      expect(describeStatus(store.state)).toContain("busy with a cell");
      tell(answer());
      expect(sendObstacle(store.state)).toBeNull();
      expect(describeStatus(store.state)).toBe("Reply complete");
    },
  );

  it("to Stop is not waited for for ever", () => {
    const { kernel, store, tell, answer } = open();
    tell(kernel.prompt("More", "theirs"), kernel.reply("theirs"), kernel.state("generating"));
    store.stop();
    late();
    expect(describeStatus(store.state)).toContain("Stop will reach the model");
    tell(answer());
    expect(store.state).toMatchObject({ status: "idle", asked: [] });
  });

  it("to Allow leaves a question that can be answered, once", () => {
    const { store, transport, tell, answer } = open();
    const decisions = () => transport.sent.filter((m) => m.type === "tool_decision").length;
    store.decide("7", true);
    store.decide("7", true);
    expect(decisions()).toBe(1);
    late();
    tell(answer());
    store.decide("7", true);
    expect(decisions()).toBe(2);
  });

  it("to a reset shows the new chat", () => {
    const { kernel, store, tell, answer } = open();
    store.reset();
    kernel.newEpoch();
    late();
    tell(answer({}, []));
    expect(store.state).toMatchObject({ status: "idle", epoch: 2, resetting: null, asked: [] });
  });

  it("to a reset that nothing came of says so and offers another", () => {
    const { store, tell, answer } = open();
    store.reset();
    late();
    tell(answer());
    expect(store.state).toMatchObject({
      status: "failed",
      messages: [],
      asked: [],
      notice: { retry: "reset" },
    });
  });

  it("that gave a prompt back gives it back all the same", () => {
    const { kernel, transport, store, tell, answer } = open();
    store.send("More");
    const { id } = lastSent(transport.sent, "send");
    tell(kernel.prompt("More", id), kernel.state("queued"));
    kernel.error({ request: id, text: "More", retry: "send" });
    tell(kernel.state("idle"), answer());
    expect(store.state).toMatchObject({ outbox: [], draft: "More", notice: { text: "More" } });
    expect(sendObstacle(store.state)).toBeNull();
  });
});

describe("a prompt that waits in the kernel", () => {
  it("comes back with its files when it is refused, though a snapshot has shown it", () => {
    const { kernel, transport, store, tell, answer } = open();
    const files = [{ name: "cat.png", type: "image/png", data: new ArrayBuffer(3) }];
    store.send("A long prompt", files);
    const { id } = lastSent(transport.sent, "send");
    late();
    const prompt = kernel.prompt("A long prompt", id);
    tell(prompt, kernel.state("queued", id));
    const shown = {
      turn: prompt.turn,
      role: "user",
      text: "A long prompt",
      state: "done",
    } as const;
    tell(answer({ status: "queued" }, [...SAID, { ...shown, request: id }] as never));
    expect(sendObstacle(store.state)).toBe("Wait for the reply, or stop it.");
    tell(
      kernel.error({ request: id, message: "It does not fit.", text: "A long prompt" }),
      kernel.state("idle"),
    );
    expect(store.state).toMatchObject({ outbox: [], draft: "A long prompt", attached: files });
    expect(store.state.notice?.message).toBe("It does not fit.");
    expect(store.state.messages).toHaveLength(2);
  });

  it.each([
    ["its reply begins", "generating"],
    ["nothing goes on any more", "idle"],
  ] as const)("is no longer waited for where a snapshot tells that %s", (what, status) => {
    const { kernel, transport, store, tell, answer } = open();
    store.send("More");
    const { id } = lastSent(transport.sent, "send");
    const { turn } = kernel.prompt("More", id);
    const prompt = { turn, role: "user", text: "More", state: "done", request: id };
    const reply = { turn: turn + 1, role: "assistant", text: "M", state: "streaming", request: id };
    late();
    tell(
      answer({ status }, [
        ...SAID,
        prompt,
        ...(what === "its reply begins" ? [reply] : []),
      ] as never),
    );
    expect(store.state.outbox).toEqual([]);
  });

  it("is no longer waited for where its reply is one that was asked for again elsewhere", () => {
    const { kernel, transport, store, tell, answer } = open();
    store.send("More");
    const { id } = lastSent(transport.sent, "send");
    const { turn } = kernel.prompt("More", id);
    const prompt = { turn, role: "user", text: "More", state: "done", request: id };
    const reply = { turn: 9, role: "assistant", text: "M", state: "streaming", request: "theirs" };
    late();
    tell(answer({ status: "generating" }, [...SAID, prompt, reply] as never));
    expect(store.state.outbox).toEqual([]);
  });

  it("is followed by its reply, though another window's waits behind it", () => {
    const { kernel, transport, store, tell } = open();
    store.send("More");
    const { id } = lastSent(transport.sent, "send");
    const mine = kernel.prompt("More", id);
    tell(mine, kernel.prompt("Theirs", "theirs"), kernel.state("queued"));
    const reply = {
      turn: 5,
      role: "assistant",
      text: "",
      state: "streaming",
      request: id,
    } as const;
    const theirs = {
      turn: 4,
      role: "user",
      text: "Theirs",
      state: "done",
      request: "theirs",
    } as const;
    tell(kernel.branch(mine.turn, [reply, theirs], id), kernel.state("generating"));
    expect(store.state.outbox).toEqual([]);
    tell(kernel.delta("Once", 5));
    expect(store.state.messages.map((m) => m.text)).toEqual([
      "Hello",
      "Hi",
      "More",
      "Once",
      "Theirs",
    ]);
  });

  it("comes back when the kernel cannot read the request", () => {
    const { kernel, transport, store, tell } = open();
    store.send("Look at these");
    const { id } = lastSent(transport.sent, "send");
    tell(kernel.error({ request: id, kind: "BadRequestError", message: "They are too large." }));
    expect(store.state).toMatchObject({ outbox: [], draft: "Look at these" });
    expect(sendObstacle(store.state)).toBeNull();
  });
});

describe("what was written in the place of a prompt", () => {
  const edited = () => {
    const opened = open();
    expect(opened.store.edit(1, "A long new prompt")).toBe(true);
    return opened;
  };

  it("comes back when it is refused", () => {
    const { kernel, transport, store, tell } = edited();
    tell(
      kernel.error({
        request: lastSent(transport.sent, "edit").id,
        message: "Wait for the reply.",
      }),
    );
    expect(store.state.draft).toBe("A long new prompt");
    expect(store.state.notice).toMatchObject({ message: "Wait for the reply.", retry: null });
  });

  it("comes back when the kernel cannot be reached", () => {
    const { transport, store } = open();
    transport.broken = new Error("dead");
    store.edit(1, "A long new prompt");
    expect(store.state.draft).toBe("A long new prompt");
    expect(store.state.notice?.message).toContain("cannot be reached");
  });

  it("waits beside the text box, where something else is written, when it was lost on the way", () => {
    const { store, tell, answer } = edited();
    store.draft("Something else");
    late();
    tell(answer());
    expect(store.state).toMatchObject({
      draft: "Something else",
      held: [{ text: "A long new prompt", message: expect.stringContaining("Make it again") }],
    });
  });

  it("does not come back where it has arrived", () => {
    const { kernel, transport, store, tell, answer } = edited();
    const { id } = lastSent(transport.sent, "edit");
    late();
    const prompt = { turn: 3, role: "user", text: "A long new prompt", state: "done", request: id };
    tell(answer({ status: "queued" }, [prompt] as never), kernel.state("queued"));
    expect(store.state).toMatchObject({ draft: "", held: [], notice: null });
  });
});

describe("an import", () => {
  it("that was lost on the way says so, and one that was not does not", () => {
    for (const epoch of [1, 2]) {
      const { kernel, store, tell, answer } = open();
      store.importChat("{}");
      late();
      kernel.epoch = epoch;
      tell(answer());
      expect(store.state.notice?.message ?? null).toBe(
        epoch === 1 ? "The file did not reach the kernel." : null,
      );
    }
  });

  it("is not made while a reply is on its way, and says so", () => {
    const { kernel, transport, store, tell } = open();
    tell(kernel.prompt("More", "theirs"), kernel.reply("theirs"), kernel.state("generating"));
    store.importChat("{}");
    expect(transport.sent.some((m) => m.type === "import")).toBe(false);
    expect(store.state.notice?.message).toBe(
      "The file was not imported. Wait for the reply, or stop it.",
    );
  });

  it("that is too large to be sent is not, and the way in is told", () => {
    const { transport, store } = open();
    store.importChat('"'.repeat(5 * 1024 * 1024)); // each is two bytes on the way
    expect(transport.sent.some((m) => m.type === "import")).toBe(false);
    expect(store.state.notice?.message).toContain("gn.Transcript.from_json");
  });
});

describe("the end of something that was lost", () => {
  it("of a reply is asked for after ten silent seconds, and ever more seldom", () => {
    const { kernel, store, tell, asked, answer } = open();
    tell(kernel.prompt("More", "theirs"), kernel.reply("theirs"), kernel.state("generating"));
    const before = asked().length;
    vi.advanceTimersByTime(9_000);
    tell(kernel.delta("Once"));
    vi.advanceTimersByTime(9_000);
    expect(asked()).toHaveLength(before);
    vi.advanceTimersByTime(1_000);
    expect(asked()).toHaveLength(before + 1);
    const streaming = { turn: 4, role: "assistant", text: "Once", state: "streaming" } as const;
    tell(answer({ status: "generating" }, [...SAID, streaming] as never));
    vi.advanceTimersByTime(19_000);
    expect(asked()).toHaveLength(before + 1);
    vi.advanceTimersByTime(1_000);
    expect(asked()).toHaveLength(before + 2);
    tell(answer());
    expect(describeStatus(store.state)).toBe("Reply complete");
    vi.advanceTimersByTime(3_600_000);
    expect(asked()).toHaveLength(before + 2);
  });

  it("of another window's reset is asked for, too", () => {
    const { kernel, store, tell, answer } = open();
    tell(kernel.state("resetting"));
    kernel.newEpoch();
    vi.advanceTimersByTime(10_000);
    tell(answer({}, []));
    expect(describeStatus(store.state)).toBe("Ready");
  });
});

describe("files that are attached", () => {
  it("at once are not more than can be sent", async () => {
    const { kernel, store, tell } = open();
    tell(kernel.snapshot([], { model: { ...MODEL, modalities: ["text", "vision"] } }));
    const file = (name: string) =>
      new File([new Uint8Array(4_900_000)], name, { type: "image/png" });
    await Promise.all([store.attach([file("a.png")]), store.attach([file("b.png")])]);
    expect(store.state.attached).toHaveLength(1);
    expect(store.state.notice?.message).toContain("too large");
  });
});

describe("a request that is only late", () => {
  it("lets a reply stream on while it is asked after", () => {
    const { kernel, store, tell, asked } = open();
    tell(kernel.prompt("More", "theirs"), kernel.reply("theirs"), kernel.state("generating"));
    store.stop();
    late();
    expect(asked()).toHaveLength(2);
    tell(kernel.delta("streams on"));
    expect(store.state.messages.at(-1)?.text).toBe("streams on");
  });

  it("because a reset takes long is waited for until that ends, and nobody is called busy", () => {
    const { kernel, transport, store, tell, answer } = open();
    store.reset();
    late();
    tell(kernel.state("resetting"), answer({ status: "resetting" }, []));
    expect(describeStatus(store.state)).toBe("Resetting chat…");
    expect(store.state.asked).toMatchObject([{ type: "reset" }]);
    tell(kernel.newEpoch(lastSent(transport.sent, "reset").id));
    expect(store.state).toMatchObject({ epoch: 2, status: "idle", asked: [] });
  });

  it("because a reset takes long is asked after again", () => {
    const { kernel, store, tell, answer } = open();
    store.reset();
    late();
    tell(answer({ status: "resetting" }, []));
    kernel.newEpoch();
    late();
    tell(answer({}, []));
    expect(store.state).toMatchObject({ epoch: 2, status: "idle", asked: [] });
  });

  it("and was sent after the snapshot was asked for is not taken for lost", () => {
    const { kernel, transport, store, tell, asked } = open();
    kernel.state("idle");
    tell(kernel.state("idle"));
    const first = lastSent(transport.sent, "snapshot_request").id;
    store.send("More");
    late();
    expect(asked().length).toBeGreaterThan(2);
    tell(kernel.snapshot([...SAID], { request: first }));
    expect(store.state).toMatchObject({ draft: "", outbox: [{ text: "More" }], notice: null });
    const { id } = lastSent(transport.sent, "send");
    tell(kernel.prompt("More", id));
    expect(store.state.messages.at(-1)).toMatchObject({ text: "More" });
  });
});
