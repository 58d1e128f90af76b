import { describe, expect, it, vi } from "vitest";
import { type Kept, PanelHub } from "../../src/state";
import { MemoryTransport } from "../../src/transport/memory";
import { lastSent, ScriptedKernel } from "../support/kernel";

function open() {
  const transport = new MemoryTransport();
  const hub = new PanelHub(transport);
  const chats = (ids: string[], more: object = {}) =>
    transport.receive({
      type: "chats",
      chats: ids.map((id) => ({ id, name: `Chat ${id}` })),
      ...more,
    });
  return { transport, hub, chats };
}

describe("the chats of a panel", () => {
  it("are one at first, and the kernel is asked for more", () => {
    const { transport, hub } = open();
    expect(hub.state).toMatchObject({ active: "1", tabs: [{ id: "1" }] });
    expect(transport.sent.map((m) => m.type)).toEqual(["snapshot_request", "chats_request"]);
  });

  it("are told apart by their names in both directions", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2"]);
    const [one, two] = [new ScriptedKernel(), new ScriptedKernel()];
    transport.receive(one.snapshot([{ turn: 1, role: "user", text: "A", state: "done" }]));
    transport.receive({ ...two.snapshot(), chat: "2" });
    transport.receive({ ...two.state("generating"), chat: "2" });
    expect(hub.store("1").state.messages).toHaveLength(1);
    expect(hub.store("2").state).toMatchObject({ messages: [], status: "generating" });
    hub.store("2").stop();
    expect(lastSent(transport.sent, "stop")).toMatchObject({ chat: "2" });
    hub.store("1").send("B");
    expect(lastSent(transport.sent, "send")).not.toHaveProperty("chat");
  });

  it("show the one that was asked for when it is there", () => {
    const { transport, hub, chats } = open();
    hub.openChat();
    hub.openChat();
    expect(transport.sent.filter((m) => m.type === "open_chat")).toHaveLength(1);
    expect(hub.state.opening).toBe(true);
    const { id, like } = lastSent(transport.sent, "open_chat");
    expect(like).toBe("1");
    chats(["1", "2"], { request: id, show: "2" });
    expect(hub.state).toMatchObject({ active: "2", opening: false });
    hub.openChat();
    expect(lastSent(transport.sent, "open_chat")).toMatchObject({ like: "2" });
  });

  it("stay as they are when another view opens one, or none can be opened", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2"], { request: "another view's", show: "2" });
    expect(hub.state.active).toBe("1");
    hub.openChat();
    const { id } = lastSent(transport.sent, "open_chat");
    chats(["1", "2"], { request: id, error: "2 sessions are open; close one." });
    expect(hub.state).toMatchObject({
      active: "1",
      opening: false,
      error: "2 sessions are open; close one.",
    });
    hub.dismissError();
    expect(hub.state.error).toBeNull();
  });

  it("close, and the neighbour is shown", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2", "3"]);
    hub.show("2");
    hub.closeChat("2");
    expect(lastSent(transport.sent, "close_chat")).toMatchObject({ close: "2" });
    expect(hub.state).toMatchObject({ active: "3", tabs: [{ id: "1" }, { id: "3" }] });
    chats(["3"]);
    expect(hub.state.active).toBe("3");
    hub.closeChat("3");
    expect(transport.sent.filter((m) => m.type === "close_chat")).toHaveLength(1);
  });

  it("can be saved when they are closed, by what is shown then", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2"]);
    const said = [
      { turn: 1, role: "user", text: "A", state: "done" },
      { turn: 2, role: "assistant", text: "B", state: "streaming" },
    ] as const;
    transport.receive({ ...new ScriptedKernel().snapshot([...said]), chat: "2" });
    hub.closeChat("2");
    expect(hub.active.state.kept).toMatchObject([{ closed: true, messages: said }]);
    hub.active.saveKept(hub.active.state.kept[0] as Kept);
    const messages = [said[0], { ...said[1], state: "cancelled" }];
    expect(lastSent(transport.sent, "export")).toMatchObject({ messages });
    expect(lastSent(transport.sent, "export")).not.toHaveProperty("chat");
  });

  it("hand on what they offered to save themselves", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2", "3"]);
    for (const id of ["2", "3"]) {
      const said = [{ turn: 1, role: "user", text: id, state: "done" }] as const;
      transport.receive({ ...new ScriptedKernel().snapshot([...said]), chat: id });
    }
    hub.show("3");
    hub.closeChat("3");
    hub.closeChat("2");
    const texts = hub.active.state.kept.map((kept) => kept.messages[0]?.text);
    expect(texts).toEqual(["3", "2"]);
  });

  describe("that another window closes", () => {
    function withDraft() {
      const opened = open();
      const { transport, hub, chats } = opened;
      chats(["1", "2", "3"]);
      for (const id of ["1", "2", "3"]) {
        const said = [{ turn: 1, role: "user", text: `Said in ${id}`, state: "done" }] as const;
        const told = new ScriptedKernel().snapshot([...said]);
        transport.receive(id === "1" ? told : { ...told, chat: id });
      }
      hub.show("3");
      hub.closeChat("3");
      hub.store("2").draft("A long prompt");
      return opened;
    }
    const texts = (hub: PanelHub) => hub.active.state.kept.map((kept) => kept.messages[0]?.text);

    it("hand on what they kept, and what was written in them", () => {
      const { hub, chats } = withDraft();
      chats(["1"], { request: "another window's" });
      expect(texts(hub)).toEqual(["Said in 3", "Said in 2"]);
      expect(hub.active.state).toMatchObject({
        draft: "",
        held: [{ text: "A long prompt", message: "The chat of this message was closed." }],
      });
    });

    it("hand on nothing twice, though they were closed here, too", () => {
      const { transport, hub, chats } = withDraft();
      hub.closeChat("2");
      chats(["1", "2"], { request: "another window's" });
      const said = [{ turn: 1, role: "user", text: "Said in 2", state: "done" }] as const;
      transport.receive({ ...new ScriptedKernel().snapshot([...said]), chat: "2" });
      chats(["1"]);
      expect(texts(hub)).toEqual(["Said in 3", "Said in 2"]);
      expect(hub.active.state.held).toHaveLength(1);
    });
  });

  it("are told apart by their first prompts when they are offered, but not one that was reset", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2"]);
    const two = new ScriptedKernel();
    const say = (text: string) => {
      const said = [{ turn: 1, role: "user", text, state: "done" }] as const;
      transport.receive({ ...two.snapshot([...said]), chat: "2" });
    };
    say("Forgotten");
    hub.store("2").reset();
    transport.receive({ ...two.newEpoch(lastSent(transport.sent, "reset").id), chat: "2" });
    say("Closed");
    hub.closeChat("2");
    expect(hub.active.state.kept.map((kept) => kept.name)).toEqual([undefined, "Closed"]);
  });

  it("hand on a prompt that the kernel has not got yet", () => {
    const { transport, hub, chats } = open();
    chats(["1", "2"]);
    transport.receive({ ...new ScriptedKernel().snapshot(), chat: "2" });
    hub.store("2").send("On its way");
    hub.closeChat("2");
    expect(hub.active.state.held).toMatchObject([{ text: "On its way" }]);
  });

  it("leave nothing to be saved when nothing was said", () => {
    const { hub, chats } = open();
    chats(["1", "2"]);
    hub.closeChat("2");
    expect(hub.active.state.kept).toEqual([]);
  });

  it("can be opened again when the answer to the last time was lost", () => {
    vi.useFakeTimers();
    const { transport, hub, chats } = open();
    hub.openChat();
    const asked = () => transport.sent.filter((m) => m.type === "chats_request");
    vi.advanceTimersByTime(1500 + 3000);
    expect(asked()).toHaveLength(3);
    chats(["1"], { request: "another view's" });
    expect(hub.state.opening).toBe(true);
    chats(["1", "2"], { request: asked().at(-1)?.id });
    expect(hub.state).toMatchObject({
      opening: false,
      active: "1",
      tabs: [{ id: "1" }, { id: "2" }],
    });
    vi.advanceTimersByTime(600_000);
    expect(asked()).toHaveLength(3);
    hub.openChat();
    expect(transport.sent.filter((m) => m.type === "open_chat")).toHaveLength(2);
    vi.useRealTimers();
  });

  it("are opened one after the other, whatever is still answered of the one before", () => {
    vi.useFakeTimers();
    const { transport, hub, chats } = open();
    hub.openChat();
    vi.advanceTimersByTime(1500);
    const inquiry = lastSent(transport.sent, "chats_request").id;
    chats(["1", "2"], { request: lastSent(transport.sent, "open_chat").id, show: "2" });
    hub.openChat();
    chats(["1", "2"], { request: inquiry });
    expect(hub.state.opening).toBe(true);
    chats(["1", "2", "3"], { request: lastSent(transport.sent, "open_chat").id, show: "3" });
    expect(hub.state).toMatchObject({ opening: false, active: "3" });
    vi.useRealTimers();
  });

  it("can only be read once the kernel is gone", () => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const { transport, hub, chats } = open();
    chats(["1", "2"]);
    transport.lose("The kernel has ended.");
    const sent = transport.sent.length;
    for (const id of ["1", "2"]) {
      hub.store(id).reset();
      hub.store(id).exportChat("markdown");
      expect(hub.store(id).state.lost).toBe("The kernel has ended.");
    }
    hub.openChat();
    hub.closeChat("2");
    expect(transport.sent).toHaveLength(sent);
  });
});
