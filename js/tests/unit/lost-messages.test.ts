import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { KernelMessage } from "../../src/protocol";
import { describeStatus, PanelStore, sendObstacle } from "../../src/state";
import { MemoryTransport } from "../../src/transport/memory";
import { lastSent, ScriptedKernel } from "../support/kernel";

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
