import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import wire from "../../../tests/wire_messages.json";
import { type PanelMessage, parseKernelMessage } from "../../src/protocol";
import { PanelStore } from "../../src/state";
import { MemoryTransport } from "../../src/transport/memory";
import { lastSent, ScriptedKernel } from "../support/kernel";

describe("messages from the kernel", () => {
  beforeEach(() => vi.spyOn(console, "warn").mockImplementation(() => {}));
  afterEach(() => vi.restoreAllMocks());

  it.each(Object.entries(wire.kernel))("reads: %s", (_name, message) => {
    expect(parseKernelMessage(message)).toEqual(message);
    expect(console.warn).not.toHaveBeenCalled();
  });

  it.each(Object.entries(wire.invalid_kernel))("ignores with a warning: %s", (_name, message) => {
    expect(parseKernelMessage(message)).toBeUndefined();
    expect(console.warn).toHaveBeenCalledOnce();
  });

  it("reads null as absent and drops what it does not know", () => {
    const message = { type: "delta", epoch: 1, seq: 1, turn: 1, offset: 0, text: "a" };
    expect(parseKernelMessage({ ...message, colour: "red" })).toEqual(message);
    const error = { type: "error", epoch: 1, seq: 1, kind: "K", message: "m", retry: null };
    expect(parseKernelMessage({ ...error, request: null, text: null })).toEqual(error);
  });

  it("counts text as the kernel does", () => {
    for (const [text, length] of Object.entries(wire.utf16_lengths))
      expect(text.length).toBe(length);
  });
});

describe("messages from the panel", () => {
  it("have the shape of the fixture", () => {
    const transport = new MemoryTransport();
    const kernel = new ScriptedKernel();
    const store = new PanelStore(transport);
    transport.receive(kernel.snapshot());
    store.send("Hello 👋");
    transport.receive(kernel.state("generating"));
    store.stop();
    store.reset();
    store.dispose();

    const shape = (m: PanelMessage) => ({ ...m, id: "" });
    const { send, stop, reset, "snapshot request": snapshotRequest } = wire.panel;
    for (const expected of [send, stop, reset, snapshotRequest] as PanelMessage[]) {
      expect(shape(lastSent(transport.sent, expected.type))).toEqual(shape(expected));
    }
    for (const { id } of transport.sent) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    expect(new Set(transport.sent.map((m) => m.id)).size).toBe(transport.sent.length);
  });
});
