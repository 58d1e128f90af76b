import { expect, it } from "vitest";
import { KernelWatch } from "../../src/transport/kernel-watch";

/** Lumino's signal: calls its slots with the sender and the value. */
class FakeSignal<T> {
  readonly slots = new Set<(sender: unknown, value: T) => void>();
  connect = (slot: (sender: unknown, value: T) => void) => this.slots.add(slot);
  disconnect = (slot: (sender: unknown, value: T) => void) => this.slots.delete(slot);
  emit(value: T) {
    for (const slot of this.slots) slot(this, value);
  }
}

class FakeKernel {
  status = "idle";
  isDisposed = false;
  readonly statusChanged = new FakeSignal<string>();
  readonly connectionStatusChanged = new FakeSignal<string>();
  readonly iopubMessage = new FakeSignal<object>();
  readonly disposed = new FakeSignal<undefined>();

  says(execution_state: string, msg_id: string, msg_type = "execute_request") {
    this.iopubMessage.emit({
      header: { msg_type: "status" },
      parent_header: { msg_type, msg_id },
      content: { execution_state },
    });
  }

  get slots() {
    const signals = [this.statusChanged, this.connectionStatusChanged, this.iopubMessage];
    return [...signals, this.disposed].reduce((count, signal) => count + signal.slots.size, 0);
  }
}

function follow(kernel: FakeKernel | null = new FakeKernel()) {
  const watch = new KernelWatch({ kernel });
  const heard: string[] = [];
  watch.onChange((state) => heard.push(state));
  return { kernel: kernel as FakeKernel, watch, heard };
}

it("is busy while a cell runs, and only then", () => {
  const { kernel, heard } = follow();
  kernel.says("busy", "a message of the panel", "comm_msg");
  kernel.says("idle", "a message of the panel", "comm_msg");
  expect(heard).toEqual([]);
  kernel.says("busy", "a cell");
  kernel.says("busy", "a message over a subshell", "comm_msg");
  kernel.says("idle", "a message over a subshell", "comm_msg");
  expect(heard).toEqual(["busy"]);
  kernel.says("idle", "a cell");
  expect(heard).toEqual(["busy", "alive"]);
});

it.each(["restarting", "autorestarting", "terminating", "dead"])(
  "is dead once it is %s",
  (status) => {
    const { kernel, watch, heard } = follow();
    kernel.statusChanged.emit(status);
    expect([watch.kernel, heard]).toEqual(["dead", ["dead"]]);
  },
);

it("stays dead: the kernel that comes after knows nothing of the panel", () => {
  const { kernel, watch, heard } = follow();
  kernel.statusChanged.emit("restarting");
  kernel.connectionStatusChanged.emit("connected");
  kernel.statusChanged.emit("idle");
  kernel.says("busy", "a cell");
  expect([watch.kernel, heard]).toEqual(["dead", ["dead"]]);
});

it("is dead when the notebook turns to another kernel", () => {
  const { kernel, heard } = follow();
  kernel.disposed.emit(undefined);
  expect(heard).toEqual(["dead"]);
});

it("is dead from the beginning when the kernel has ended before", () => {
  const kernel = new FakeKernel();
  kernel.status = "dead";
  expect(follow(kernel).watch.kernel).toBe("dead");
});

it("is not busy for ever when the end of the cell was missed", () => {
  const { kernel, heard } = follow();
  kernel.says("busy", "a cell");
  kernel.connectionStatusChanged.emit("connected");
  expect(heard).toEqual(["busy", "alive"]);
});

it.each([undefined, null, {}, { kernel: null }, { kernel: {} }])(
  "is alive where the host tells nothing: %j",
  (widgetManager) => {
    expect(new KernelWatch(widgetManager).kernel).toBe("alive");
  },
);

it("leaves no slot behind", () => {
  const { kernel, watch, heard } = follow();
  expect(kernel.slots).toBe(4);
  watch.dispose();
  expect(kernel.slots).toBe(0);
  kernel.statusChanged.emit("dead");
  expect(heard).toEqual([]);
});
