import type { KernelState } from "./transport";

/** Lumino's signal, as far as it is used here. */
interface Signal<T> {
  connect(slot: (sender: unknown, value: T) => void): unknown;
  disconnect(slot: (sender: unknown, value: T) => void): unknown;
}

interface IopubMessage {
  header: { msg_type: string };
  parent_header: { msg_type?: string; msg_id?: string };
  content: { execution_state?: string };
}

/** JupyterLab's and Notebook's kernel connection. No public interface of anywidget: each part may be missing. */
interface KernelConnection {
  status?: string;
  isDisposed?: boolean;
  statusChanged?: Signal<string>;
  connectionStatusChanged?: Signal<string>;
  iopubMessage?: Signal<IopubMessage>;
  disposed?: Signal<unknown>;
}

/** After one of these, the panel's Python side is gone: a new kernel knows nothing of it. */
const ENDED = new Set(["restarting", "autorestarting", "terminating", "dead"]);

/** Follows the kernel of a widget where the host shows it: JupyterLab and Notebook do, marimo does not. */
export class KernelWatch {
  private current: KernelState = "alive";
  private cell: string | undefined;
  private readonly listeners = new Set<(kernel: KernelState) => void>();
  private readonly stops: (() => void)[] = [];

  /** @param widgetManager The model's `widget_manager`, whatever the host put there. */
  constructor(widgetManager: unknown) {
    const kernel = (widgetManager as { kernel?: KernelConnection | null } | undefined)?.kernel;
    if (!kernel) return;
    this.follow(kernel.statusChanged, (status) => ENDED.has(status) && this.become("dead"));
    this.follow(kernel.disposed, () => this.become("dead"));
    this.follow(kernel.iopubMessage, (message) => this.read(message));
    // The end of a cell may have been missed while there was no connection.
    this.follow(kernel.connectionStatusChanged, () => this.become("alive"));
    if (kernel.isDisposed || ENDED.has(kernel.status ?? "")) this.become("dead");
  }

  get kernel(): KernelState {
    return this.current;
  }

  onChange(listener: (kernel: KernelState) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  dispose(): void {
    this.listeners.clear();
    for (const stop of this.stops.splice(0)) stop();
  }

  private follow<T>(signal: Signal<T> | undefined, heard: (value: T) => void): void {
    if (!signal) return;
    const slot = (_sender: unknown, value: T) => heard(value);
    signal.connect(slot);
    this.stops.push(() => signal.disconnect(slot));
  }

  /** Only cells make the kernel `busy`: its own status flickers with every message of the panel. */
  private read({ header, parent_header: parent, content }: IopubMessage): void {
    if (header.msg_type !== "status" || parent.msg_type !== "execute_request") return;
    if (content.execution_state === "busy") {
      this.cell = parent.msg_id;
      this.become("busy");
    } else if (parent.msg_id === this.cell) {
      this.become("alive");
    }
  }

  private become(kernel: KernelState): void {
    if (kernel === this.current || this.current === "dead") return;
    this.current = kernel;
    for (const listener of this.listeners) listener(kernel);
  }
}
