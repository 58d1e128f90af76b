import { expect, it } from "vitest";
import {
  attachObstacle,
  fileInfos,
  type Kept,
  MOST_BYTES,
  PanelStore,
  type SavedFile,
} from "../../src/state";
import { MemoryTransport } from "../../src/transport/memory";
import { lastSent, MODEL, ScriptedKernel, SETTINGS } from "../support/kernel";

const file = (type: string, size = 10) => ({ name: "it", type, size });

it("only what the model takes can be attached, and not too much of it", () => {
  expect(attachObstacle([file("image/png")], [], ["text", "vision"])).toBeNull();
  expect(attachObstacle([file("image/png")], [], ["text"])).toContain("takes no images");
  expect(attachObstacle([file("audio/wav")], [], ["text", "vision"])).toContain("takes no sound");
  expect(attachObstacle([file("text/html")], [], ["text", "vision"])).toContain("neither");
  const attached = [{ name: "a", type: "image/png", data: new ArrayBuffer(MOST_BYTES) }];
  expect(attachObstacle([file("image/png", 1)], attached, ["vision"])).toContain("too large");
});

function ready() {
  const transport = new MemoryTransport();
  const kernel = new ScriptedKernel();
  const saved: SavedFile[] = [];
  const store = new PanelStore(transport, (f) => saved.push(f));
  transport.receive(kernel.snapshot([{ turn: 1, role: "user", text: "A", state: "done" }]));
  return { transport, kernel, saved, store };
}

it("files travel beside the message as binary buffers", () => {
  const { transport, store } = ready();
  const data = new Uint8Array([1, 2, 3]).buffer;
  store.send("What is this?", [{ name: "cat.png", type: "image/png", data }]);
  expect(lastSent(transport.sent, "send").files).toEqual([{ name: "cat.png", type: "image/png" }]);
  expect(transport.buffers.at(-1)).toEqual([data]);
  expect(fileInfos(store.state.outbox[0]?.files ?? [])).toEqual([
    { name: "cat.png", type: "image/png", size: 3 },
  ]);
});

it("a prompt that is refused comes back with its files, and is sent again with them", () => {
  const { transport, kernel, store } = ready();
  const cat = { name: "cat.png", type: "image/png", data: new Uint8Array([1, 2, 3]).buffer };
  const refuse = () => {
    const { id } = lastSent(transport.sent, "send");
    transport.receive(kernel.error({ request: id, text: "What is this?", retry: "send" }));
  };
  store.send("What is this?", [cat]);
  refuse();
  expect(store.state).toMatchObject({ draft: "What is this?", attached: [cat], outbox: [] });
  const { text = "", files = [] } = store.state.notice ?? {};
  store.send(text, files);
  expect(lastSent(transport.sent, "send").files).toEqual([{ name: "cat.png", type: "image/png" }]);
  expect(store.state).toMatchObject({ draft: "", attached: [] });
  store.draft("Something else");
  refuse();
  expect(store.state).toMatchObject({ draft: "Something else", attached: [] });
  expect(store.state.held).toMatchObject([{ text: "What is this?", files: [cat] }]);
});

it("files wait with the draft until they are sent or taken off", async () => {
  const { transport, kernel, store } = ready();
  const vision = { ...MODEL, modalities: ["text", "vision"] };
  transport.receive(kernel.snapshot([], { model: vision }));
  const png = (name: string) => new File(["png"], name, { type: "image/png" });
  await Promise.all([store.attach([png("a.png")]), store.attach([png("b.png")])]);
  expect(store.state.attached.map((f) => f.name)).toEqual(["a.png", "b.png"]);
  await store.attach([new File(["text"], "c.txt", { type: "text/plain" })]);
  expect(store.state.notice?.message).toContain("c.txt is neither an image nor a sound");
  const [a] = store.state.attached;
  if (a) store.detach(a);
  expect(store.state.attached.map((f) => f.name)).toEqual(["b.png"]);
});

it("a prompt that waits for a free text box is there until it is sent again or dismissed", async () => {
  const { transport, kernel, store } = ready();
  const cat = { name: "cat.png", type: "image/png", data: new Uint8Array([1, 2, 3]).buffer };
  const refuse = () => {
    const { id, text } = lastSent(transport.sent, "send");
    transport.receive(kernel.error({ request: id, text, retry: "send" }));
  };
  const held = () => store.state.held.map((h) => h.text);
  store.send("First", [cat]);
  store.draft("In the box");
  refuse();
  await store.attach([new File(["text"], "c.txt", { type: "text/plain" })]);
  store.notice(null);
  store.undo();
  const { id } = lastSent(transport.sent, "undo");
  transport.receive(kernel.branch(null, [], id));
  transport.receive(kernel.state("idle", id));
  transport.receive(kernel.snapshot());
  store.send("Second");
  refuse();
  expect(held()).toEqual(["First", "Second"]);
  store.reset();
  transport.receive(kernel.newEpoch(lastSent(transport.sent, "reset").id));
  const [first, second] = store.state.held;
  if (!first || !second) throw new Error("a prompt is gone");
  store.sendHeld(first);
  expect(lastSent(transport.sent, "send")).toMatchObject({
    text: "First",
    files: [{ name: "cat.png" }],
  });
  expect(held()).toEqual(["Second"]);
  store.sendHeld(second);
  expect(held()).toEqual(["Second"]);
  store.dropHeld(second);
  expect(held()).toEqual([]);
  expect(store.state.draft).toBe("In the box");
});

it("an export is saved by the view's side that asked for it, once", () => {
  const { transport, kernel, saved, store } = ready();
  store.exportChat("markdown");
  const { id } = lastSent(transport.sent, "export");
  const told = { name: "chat.md", media_type: "text/markdown", text: "A" };
  transport.receive(kernel.next("exported", { ...told, request: "another's" }));
  transport.receive(kernel.next("exported", { ...told, request: id }));
  expect(saved).toEqual([{ name: "chat.md", type: "text/markdown", text: "A" }]);
});

it("the chat that was reset is exported from what was kept of it", () => {
  const { transport, kernel, store } = ready();
  store.reset();
  transport.receive(kernel.newEpoch(lastSent(transport.sent, "reset").id));
  store.saveKept(store.state.kept[0] as Kept);
  expect(lastSent(transport.sent, "export").messages).toMatchObject([{ turn: 1, text: "A" }]);
  expect(store.state.messages).toEqual([]);
});

it("the chat that was reset is asked for once at a time, and not of a kernel that is gone", () => {
  const { transport, kernel, store } = ready();
  const exports = () => transport.sent.filter((m) => m.type === "export");
  store.reset();
  transport.receive(kernel.newEpoch(lastSent(transport.sent, "reset").id));
  store.saveKept(store.state.kept[0] as Kept);
  store.saveKept(store.state.kept[0] as Kept);
  expect(exports()).toHaveLength(1);
  transport.receive(kernel.error({ request: exports()[0]?.id }));
  store.saveKept(store.state.kept[0] as Kept);
  expect(exports()).toHaveLength(2);
  store.lose("The kernel has ended.");
  store.saveKept(store.state.kept[0] as Kept);
  expect(exports()).toHaveLength(2);
  expect(store.state).toMatchObject({
    kept: [{ saved: false }],
    notice: { message: "It failed." },
  });
});

it("options that shall begin at once reset the chat when they were accepted, not before", () => {
  const { transport, kernel, store } = ready();
  store.setOptions({ top_k: 40 }, true);
  const { id } = lastSent(transport.sent, "options");
  expect(transport.sent.some((m) => m.type === "reset")).toBe(false);
  transport.receive(kernel.next("settings", { settings: SETTINGS, request: id }));
  expect(lastSent(transport.sent, "reset")).toMatchObject({ epoch: 1 });
});

it("options that were refused reset nothing", () => {
  const { transport, kernel, store } = ready();
  store.setOptions({ top_p: 0 }, true);
  const { id } = lastSent(transport.sent, "options");
  transport.receive(kernel.error({ request: id, message: "top_p=0" }));
  transport.receive(kernel.next("settings", { settings: SETTINGS }));
  expect(transport.sent.some((m) => m.type === "reset")).toBe(false);
  expect(store.state.messages).toHaveLength(1);
});
