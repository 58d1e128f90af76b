import { describe, expect, it } from "vitest";
import type { KernelMessage } from "../../src/protocol";
import { initialState, type PanelEvent, type PanelState, reduce } from "../../src/state";
import { ScriptedKernel } from "../support/kernel";

const received = (message: KernelMessage): PanelEvent => ({ type: "received", message });

function play(start: PanelState, ...steps: (PanelEvent | KernelMessage)[]): PanelState {
  return steps.reduce(
    (state, step) => reduce(state, "seq" in step ? received(step) : (step as PanelEvent)),
    start,
  );
}

const texts = (state: PanelState) => state.messages.map((m) => m.text);
const sent = (id: string, text = id): PanelEvent => ({ type: "sent", id, text });
const requested: PanelEvent = { type: "snapshot_requested", id: "q" };

function ready() {
  const kernel = new ScriptedKernel();
  const state = play(initialState, requested, kernel.snapshot());
  return { kernel, state };
}

function inMidReply() {
  const { kernel, state } = ready();
  const streaming = play(
    state,
    sent("r1", "Hello"),
    kernel.prompt("Hello", "r1"),
    kernel.reply("r1"),
    kernel.state("generating"),
    kernel.delta("Nice "),
  );
  return { kernel, state: streaming };
}

describe("a prompt whose turns a reset has dropped on their way", () => {
  const reset = (state: PanelState) => play(state, { type: "reset_clicked", id: "reset" });

  it("is asked after when the new chat is there, and given back if nobody knows it", () => {
    const { kernel, state } = ready();
    const asked = play(reset(play(state, sent("r1", "Hello"))), kernel.newEpoch("reset"));
    expect(asked).toMatchObject({ epoch: 2, sync: "stale" });
    const settled = play(asked, requested, kernel.snapshot([], { request: "q" }));
    expect(settled).toMatchObject({ outbox: [], draft: "Hello", sync: "fresh" });
    expect(settled.notice?.text).toBe("Hello");
  });

  it("is forgotten with its chat if the model had begun to read it", () => {
    const { kernel, state } = ready();
    const read = play(state, sent("r1", "Hello"), kernel.prompt("Hello", "r1"));
    const settled = play(reset(read), kernel.newEpoch("reset"), requested, kernel.snapshot());
    expect(settled).toMatchObject({ outbox: [], draft: "", notice: null, messages: [] });
  });

  it("costs no question when there is none", () => {
    const { kernel, state } = inMidReply();
    expect(play(reset(state), kernel.newEpoch("reset"))).toMatchObject({ sync: "fresh" });
  });
});

describe("snapshot", () => {
  it("makes the panel ready and is the answer to its request", () => {
    const { state } = ready();
    expect(state).toMatchObject({ ready: true, sync: "fresh", epoch: 1, floor: 0, asked: [] });
    expect(state.model.name).toBe("tiny");
  });

  it("replaces what is shown", () => {
    const { kernel, state } = inMidReply();
    const told = [{ turn: 1, role: "user", text: "Another", state: "done" }] as const;
    expect(texts(play(state, kernel.snapshot([...told])))).toEqual(["Another"]);
  });

  it("that is older than what is shown is ignored", () => {
    const { kernel, state } = inMidReply();
    const old = { ...kernel.snapshot(), seq: 2 };
    expect(play(state, old)).toEqual(state);
  });

  it("that tells of a failed reset offers another", () => {
    const { kernel, state } = ready();
    const failed = kernel.snapshot([], {
      status: "failed",
      error: { message: "No.", remedy: "reset" },
    });
    expect(play(state, failed)).toMatchObject({
      status: "failed",
      notice: { message: "No.", retry: "reset" },
    });
  });

  it("in the middle of another view's reset shows nothing of the old chat", () => {
    const { kernel, state } = ready();
    const message = { turn: 1, role: "user", text: "Old", state: "done" } as const;
    const next = play(state, kernel.snapshot([message], { status: "resetting" }));
    expect(next).toMatchObject({ status: "resetting", messages: [], floor: 1 });
  });

  it("gives back a prompt that the kernel never got", () => {
    const { kernel, state } = ready();
    const answer = kernel.snapshot([], { request: "q" });
    const next = play(state, sent("r1", "Hello"), requested, answer);
    expect(next).toMatchObject({ draft: "Hello", outbox: [], notice: { retry: "send" } });
  });

  it("does not give back a prompt that was sent after it was asked for", () => {
    const { kernel, state } = ready();
    const answer = kernel.snapshot([], { request: "q" });
    const next = play(state, requested, sent("r1", "Hello"), answer);
    expect(next).toMatchObject({ draft: "", notice: null });
    expect(next.outbox).toHaveLength(1);
  });

  it("that was not asked for here says nothing of what is on its way", () => {
    const { kernel, state } = ready();
    const next = play(state, sent("r1", "Hello"), kernel.snapshot([], { request: "theirs" }));
    expect(next).toMatchObject({ draft: "", asked: [{ id: "r1" }], outbox: [{ id: "r1" }] });
  });

  it("that has the prompt settles it", () => {
    const { kernel, state } = ready();
    const message = { turn: 1, role: "user", text: "Hello", state: "done", request: "r1" } as const;
    const next = play(state, sent("r1", "Hello"), requested, kernel.snapshot([message]));
    expect(next).toMatchObject({ draft: "", outbox: [], notice: null });
    expect(texts(next)).toEqual(["Hello"]);
  });
});

describe("before the first snapshot", () => {
  it("everything else is ignored", () => {
    const kernel = new ScriptedKernel();
    const state = play(initialState, requested);
    expect(play(state, kernel.state("generating"), kernel.prompt("a", "r"))).toEqual(state);
  });
});

describe("state", () => {
  it("sets status, context and handles, and answers its request", () => {
    const { kernel, state } = inMidReply();
    const asked = play(state, { type: "stop_clicked", id: "s1" });
    expect(asked).toMatchObject({
      status: "stopping",
      asked: [{ id: "s1" }],
    });
    const message = { ...kernel.state("idle", "s1"), context: { tokens: 99, limit: 1024 } };
    expect(play(asked, message)).toMatchObject({
      status: "idle",
      context: { tokens: 99 },
      asked: [],
    });
  });

  it("of another view's reset drops the messages here too", () => {
    const { kernel, state } = inMidReply();
    const resetting = play(state, kernel.state("resetting"));
    expect(resetting).toMatchObject({ status: "resetting", messages: [] });
    const late = play(resetting, kernel.delta("meet you"));
    expect(late.messages).toEqual([]);
    expect(play(late, kernel.newEpoch("other"))).toMatchObject({
      status: "idle",
      epoch: 2,
      resetting: null,
      sync: "fresh",
    });
  });
});

describe("turn and delta", () => {
  it("stream a reply", () => {
    const { kernel, state } = inMidReply();
    const done = play(state, kernel.delta("to meet "), kernel.delta("you!"), kernel.end());
    expect(texts(done)).toEqual(["Hello", "Nice to meet you!"]);
    expect(done.messages[1]).toMatchObject({ state: "done", finish_reason: "stop" });
    expect(done.outbox).toEqual([]);
  });

  it("count offsets in UTF-16 code units", () => {
    const { kernel, state } = inMidReply();
    const next = play(state, kernel.delta("👋🏽 "), kernel.delta("👩‍🚀"), kernel.delta(" Zoë"));
    expect(texts(next)[1]).toBe("Nice 👋🏽 👩‍🚀 Zoë");
    expect(next.sync).toBe("fresh");
  });

  it("take the whole text where a turn tells it", () => {
    const { kernel, state } = inMidReply();
    const whole = kernel.turn({ turn: 2, role: "assistant", state: "done", text: "Hi." });
    expect(texts(play(state, whole))).toEqual(["Hello", "Hi."]);
  });

  it("keep the problem of a failed reply with the reply", () => {
    const { kernel, state } = inMidReply();
    const error = { kind: "EngineError", message: "Broken.", retry: "send" } as const;
    const next = play(state, kernel.turn({ turn: 2, role: "assistant", state: "error", error }));
    expect(next.messages[1]).toMatchObject({ text: "Nice ", state: "error", error });
    expect(next.notice).toBeNull();
  });

  it("with a wrong offset ask for a snapshot and change nothing", () => {
    const { kernel, state } = inMidReply();
    const wrong = { ...kernel.delta("meet"), offset: 3 } as KernelMessage;
    const next = play(state, wrong);
    expect(next.sync).toBe("stale");
    expect(texts(next)).toEqual(texts(state));
  });

  it("of a turn that is not there, or has ended, ask for a snapshot", () => {
    const { kernel, state } = inMidReply();
    expect(play(state, kernel.delta("x", 77)).sync).toBe("stale");
    const { kernel: other, state: again } = inMidReply();
    expect(play(again, other.end(), other.delta("x")).sync).toBe("stale");
  });
});

describe("seq", () => {
  it("with a gap asks for a snapshot, and nothing is shown until it is there", () => {
    const { kernel, state } = inMidReply();
    kernel.delta("lost ");
    const gap = play(state, kernel.delta("after"));
    expect(gap.sync).toBe("stale");
    const asked = play(gap, requested, kernel.delta("more"));
    expect(texts(asked)).toEqual(["Hello", "Nice "]);
    const healed = play(
      asked,
      kernel.snapshot([
        { turn: 1, role: "user", text: "Hello", state: "done" },
        { turn: 2, role: "assistant", text: "Nice lost after more", state: "streaming" },
      ]),
      kernel.delta("!"),
    );
    expect(texts(healed)[1]).toBe("Nice lost after more!");
    expect(healed.sync).toBe("fresh");
  });

  it("that was seen already is ignored", () => {
    const { kernel, state } = inMidReply();
    const delta = kernel.delta("meet ");
    const once = play(state, delta);
    expect(play(once, delta)).toEqual(once);
  });
});

describe("error", () => {
  it("gives an unsent prompt back to the text box", () => {
    const { kernel, state } = ready();
    const next = play(
      state,
      sent("r1", "Hello"),
      kernel.error({ request: "r1", text: "Hello", retry: "send" }),
    );
    expect(next).toMatchObject({
      draft: "Hello",
      outbox: [],
      asked: [],
      notice: { message: "It failed.", retry: "send", text: "Hello" },
    });
  });

  it("never overwrites what is being written: the prompt waits beside it", () => {
    const { kernel, state } = ready();
    const next = play(
      state,
      sent("r1", "Hello"),
      { type: "drafted", text: "Next" },
      kernel.error({ request: "r1", text: "Hello", retry: "send" }),
    );
    expect(next).toMatchObject({ draft: "Next", held: [{ text: "Hello" }], notice: null });
  });

  it("gives a withdrawn prompt back and takes it off the screen", () => {
    const { kernel, state } = inMidReply();
    const next = play(
      state,
      sent("r2", "Second"),
      kernel.prompt("Second", "r2"),
      kernel.error({ request: "r2", text: "Second", retry: "send" }),
    );
    expect(texts(next)).toEqual(["Hello", "Nice "]);
    expect(next.draft).toBe("Second");
  });

  it("with a prompt of another front end takes it off the screen and says nothing here", () => {
    const { kernel, state } = ready();
    const theirs = play(state, kernel.prompt("Hi", "theirs"));
    const next = play(theirs, kernel.error({ request: "theirs", text: "Hi", retry: "send" }));
    expect(next).toMatchObject({ draft: "", notice: null, messages: [] });
  });

  it("of nothing in particular is a notice, that the next send clears", () => {
    const { kernel, state } = ready();
    const next = play(state, kernel.error({}));
    expect(next.notice).toEqual({ message: "It failed.", retry: null });
    expect(play(next, sent("r1")).notice).toBeNull();
  });

  it("after a gap still gives the prompt back", () => {
    const { kernel, state } = ready();
    const waiting = play(state, sent("r1", "Hello"));
    kernel.state("idle");
    const next = play(waiting, kernel.error({ request: "r1", text: "Hello", retry: "send" }));
    expect(next).toMatchObject({ draft: "Hello", sync: "stale" });
  });
});

describe("sending", () => {
  it("clears the text box at once and waits in the outbox until the kernel has it", () => {
    const { kernel, state } = ready();
    const waiting = play(state, { type: "drafted", text: "Hello " }, sent("r1", "Hello"));
    expect(waiting.draft).toBe("");
    expect(waiting.outbox).toMatchObject([{ id: "r1", turn: null }]);
    expect(play(waiting, kernel.prompt("Hello", "r1")).outbox).toMatchObject([{ turn: 1 }]);
  });

  it("that fails gives the text back", () => {
    const { state } = ready();
    const failed: PanelEvent = { type: "send_failed", id: "r1", message: "No kernel." };
    expect(play(state, sent("r1", "Hello"), failed)).toMatchObject({
      draft: "Hello",
      outbox: [],
      asked: [],
      notice: { message: "No kernel.", retry: "send", text: "Hello" },
    });
  });

  it("that the kernel does not answer is marked late until it does", () => {
    const { kernel, state } = ready();
    const late = play(state, sent("r1"), { type: "unanswered", id: "r1" });
    expect(late.asked).toMatchObject([{ id: "r1", type: "send", late: true }]);
    expect(play(late, kernel.prompt("r1", "r1")).asked).toEqual([]);
  });
});

describe("reset", () => {
  const click: PanelEvent = { type: "reset_clicked", id: "x" };

  it("drops everything at the click, before any answer", () => {
    const { state } = inMidReply();
    expect(play(state, click)).toMatchObject({ status: "resetting", messages: [], floor: 1 });
  });

  it("lets nothing of the old epoch back on the screen", () => {
    const { kernel, state } = inMidReply();
    const old = [
      kernel.delta("late "),
      kernel.end("cancelled"),
      kernel.state("idle"),
      kernel.prompt("late", "other"),
      kernel.reply("other"),
      kernel.delta("later"),
      kernel.snapshot([{ turn: 1, role: "user", text: "Hello", state: "done" }]),
      kernel.error({ message: "of the old chat" }),
    ];
    let now = play(state, click);
    for (const message of old) {
      now = play(now, message);
      expect(now).toMatchObject({ status: "resetting", messages: [], notice: null });
    }
    expect(play(now, kernel.newEpoch("x"))).toMatchObject({
      status: "idle",
      epoch: 2,
      messages: [],
      handle: 2,
      resetting: null,
      asked: [],
    });
  });

  it("that failed says so and offers another", () => {
    const { kernel, state } = inMidReply();
    const failed = play(
      state,
      click,
      kernel.newEpoch("x", "failed"),
      kernel.error({ request: "x", retry: "reset", message: "Out of memory." }),
    );
    expect(failed).toMatchObject({
      status: "failed",
      epoch: 2,
      resetting: null,
      messages: [],
      notice: { message: "Out of memory.", retry: "reset" },
    });
    const again = play(failed, { type: "reset_clicked", id: "y" });
    expect(again).toMatchObject({ status: "resetting", floor: 2, notice: null });
    expect(play(again, kernel.newEpoch("y"))).toMatchObject({ status: "idle", epoch: 3 });
  });

  it("that the kernel refuses, without a new epoch, has failed too", () => {
    const { kernel, state } = inMidReply();
    const refused = play(state, click, kernel.error({ request: "x", message: "Closed." }));
    expect(refused).toMatchObject({
      status: "failed",
      notice: { message: "Closed.", retry: "reset" },
    });
    expect(play(refused, kernel.delta("late")).messages).toEqual([]);
  });

  it("that does not reach the kernel has failed", () => {
    const { state } = inMidReply();
    const failed: PanelEvent = { type: "request_failed", id: "x", message: "No kernel." };
    expect(play(state, click, failed)).toMatchObject({ status: "failed", asked: [] });
  });

  it("gives back the prompt that the old chat did not read", () => {
    const { kernel, state } = inMidReply();
    const next = play(
      state,
      sent("r2", "Second"),
      click,
      kernel.prompt("Second", "r2"),
      kernel.error({ request: "r2", text: "Second", retry: "send" }),
      kernel.newEpoch("x"),
    );
    expect(next).toMatchObject({ draft: "Second", outbox: [], messages: [], epoch: 2 });
  });

  it("takes a snapshot of the new epoch as its acknowledgement", () => {
    const { kernel, state } = inMidReply();
    kernel.epoch = 2;
    const next = play(state, click, kernel.snapshot());
    expect(next).toMatchObject({ epoch: 2, status: "idle", resetting: null });
  });

  it("at any moment, 200 times: not one character of the old chat afterwards", () => {
    const random = generator(20260801);
    for (let round = 0; round < 200; round++) {
      const kernel = new ScriptedKernel();
      let state = play(initialState, requested, kernel.snapshot());
      const script = oldChat(kernel, random);
      const clickAt = Math.floor(random() * (script.length + 1));
      const trailing = script.splice(clickAt);
      state = play(state, ...script);
      const shownBefore = texts(state).join("");
      state = play(state, { type: "reset_clicked", id: "x" });
      for (const message of trailing) {
        state = play(state, message);
        expect(state.messages, `round ${round}, before ${shownBefore}`).toEqual([]);
        expect(state.status).toBe("resetting");
      }
      state = play(
        state,
        kernel.newEpoch("x"),
        kernel.prompt("new", "n"),
        kernel.reply("n"),
        kernel.delta("NEW"),
        kernel.end(),
        kernel.state("idle"),
      );
      expect(texts(state)).toEqual(["new", "NEW"]);
      expect(state).toMatchObject({ epoch: 2, sync: "fresh", status: "idle", outbox: [] });
    }
  });
});

/** An old chat of random length, with replies in random pieces. */
function oldChat(kernel: ScriptedKernel, random: () => number): KernelMessage[] {
  const script: KernelMessage[] = [];
  const turns = 1 + Math.floor(random() * 3);
  for (let turn = 0; turn < turns; turn++) {
    const request = `old-${turn}`;
    script.push(kernel.prompt("old", request), kernel.reply(request), kernel.state("generating"));
    const pieces = Math.floor(random() * 8);
    for (let piece = 0; piece < pieces; piece++) {
      script.push(kernel.delta("OLD👋".slice(0, 1 + Math.floor(random() * 5))));
      if (random() < 0.1) script.push(kernel.state("generating"));
    }
    script.push(kernel.end(random() < 0.5 ? "done" : "cancelled"), kernel.state("idle"));
  }
  return script;
}

/** mulberry32: random numbers that are the same in every run. */
function generator(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
