import type { AnyModel } from "@anywidget/types";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { describeStatus, isHeldUp, PanelHub } from "../../src/state";
import { AnywidgetTransport } from "../../src/transport";
import { MemoryTransport } from "../../src/transport/memory";
import { ScriptedKernel } from "../support/kernel";

const SAVED = "This panel is from a saved notebook; run the cell again.";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const signal = { connect() {}, disconnect() {} };

/** JupyterLab's kernel, which answers what it is asked when `answer` is called. */
function kernelThatIs(status: string) {
  let answer = () => {};
  const told = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const kernel = {
    status,
    statusChanged: signal,
    disposed: signal,
    interrupt: async () => {},
    requestCommInfo: vi.fn(() => told),
  };
  return { kernel, answer };
}

/** A panel on a model whose messages go nowhere. */
function open(host: { kernel?: unknown }, more: { layout?: object; comm_live?: boolean } = {}) {
  const listeners = new Set<(raw: unknown) => void>();
  const { layout, ...own } = more;
  const model = {
    ...own,
    get: (name: string) => (name === "layout" ? layout : undefined),
    send() {},
    on: (name: string, listener: () => void) => name === "msg:custom" && listeners.add(listener),
    off: (_: string, listener: () => void) => listeners.delete(listener),
    widget_manager: host,
  };
  const hub = new PanelHub(new AnywidgetTransport(model as unknown as AnyModel));
  const status = () => describeStatus(hub.active.state);
  const receive = (raw: unknown) => {
    for (const listener of [...listeners]) listener(raw);
  };
  return { hub, status, receive, listeners };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("a panel that a notebook has saved", () => {
  it.each([
    ["its layout", { layout: { comm_live: false } }],
    ["the model itself", { comm_live: false }],
  ])("says so at once where %s tells that it has no line", (_, more) => {
    const { hub, status } = open({ kernel: kernelThatIs("busy").kernel }, more);
    expect(status()).toBe(SAVED);
    expect(hub.live).toBe(false);
  });

  it("says so when the kernel has answered a later question, and not before", async () => {
    const { kernel, answer } = kernelThatIs("idle");
    const { status } = open({ kernel });
    await pass(60_000);
    expect(kernel.requestCommInfo).toHaveBeenCalledOnce();
    expect(status()).toBe("Connecting to the kernel…");
    answer();
    await pass(0);
    expect(status()).toBe(SAVED);
  });

  it("says so where JupyterLab has no kernel, and not where another host tells of none", async () => {
    const [lab, other] = [open({ kernel: null }), open({})];
    await pass(60_000);
    expect(lab.status()).toBe(SAVED);
    expect(other.status()).toBe("Connecting to the kernel…");
  });

  it("blames no cell, and offers to interrupt none", async () => {
    const { kernel } = kernelThatIs("busy");
    const { hub, status } = open({ kernel });
    await pass(60_000);
    expect(kernel.requestCommInfo).not.toHaveBeenCalled();
    expect(status()).toBe("Connecting to the kernel…");
    expect(isHeldUp(hub.active.state)).toBe(false);
  });
});

describe("a panel that was taken for one of a saved notebook", () => {
  it("is there again when the kernel speaks", async () => {
    const { hub, status, receive } = open({ kernel: null });
    await pass(5000);
    receive(new ScriptedKernel().snapshot());
    expect(status()).toBe("Ready");
    expect(hub.active.state.lost).toBeNull();
    hub.openChat();
    expect(hub.state.opening).toBe(true);
  });

  it("asks again for what it asked before", () => {
    const transport = new MemoryTransport();
    const hub = new PanelHub(transport);
    const asked = () => transport.sent.filter((m) => m.type === "snapshot_request").length;
    transport.lose(SAVED);
    const before = asked();
    transport.lose(null);
    expect(asked()).toBe(before + 1);
    expect(hub.active.state.lost).toBeNull();
  });
});

describe("a panel with a kernel", () => {
  it("asks it nothing more once it has answered, and lets go of the model in the end", async () => {
    const { kernel } = kernelThatIs("idle");
    const { hub, status, receive, listeners } = open({ kernel }, { layout: { comm_live: true } });
    receive(new ScriptedKernel().snapshot());
    await pass(60_000);
    expect(kernel.requestCommInfo).not.toHaveBeenCalled();
    expect(status()).toBe("Ready");
    expect(hub.live).toBe(true);
    hub.dispose();
    expect(listeners.size).toBe(0);
  });
});
