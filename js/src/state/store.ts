import { type PanelMessage, parseKernelMessage } from "../protocol";
import type { Transport } from "../transport";
import { isReplying, resetObstacle, sendObstacle } from "./describe";
import { reduce } from "./reducer";
import { initialState, type PanelEvent, type PanelState } from "./state";

const LATE_AFTER_MS = 1500;

/** One panel's state and its line to the kernel. Every view of the panel subscribes to the same store. */
export class PanelStore {
  private current: PanelState = initialState;
  private readonly subscribers = new Set<() => void>();
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly unsubscribe: () => void;

  constructor(private readonly transport: Transport) {
    this.unsubscribe = transport.onMessage((raw) => {
      const message = parseKernelMessage(raw);
      if (message) this.dispatch({ type: "received", message });
    });
    this.catchUp();
  }

  get state(): PanelState {
    return this.current;
  }

  subscribe(subscriber: () => void): () => void {
    this.subscribers.add(subscriber);
    return () => this.subscribers.delete(subscriber);
  }

  dispose(): void {
    this.unsubscribe();
    this.subscribers.clear();
    for (const timer of this.timers) clearTimeout(timer);
  }

  draft(text: string): void {
    this.dispatch({ type: "drafted", text });
  }

  /** Sends `text`; false if that cannot be done now, and then nothing has changed. */
  send(text: string): boolean {
    const prompt = text.trim();
    if (prompt === "" || sendObstacle(this.current)) return false;
    const id = newId();
    this.dispatch({ type: "sent", id, text: prompt });
    this.ask({ type: "send", id, epoch: this.current.epoch, text: prompt }, (message) => ({
      type: "send_failed",
      id,
      message,
    }));
    return true;
  }

  stop(): void {
    if (!isReplying(this.current) || this.current.status === "stopping") return;
    const id = newId();
    this.dispatch({ type: "stop_clicked", id });
    this.ask({ type: "stop", id, epoch: this.current.epoch }, (message) => ({
      type: "request_failed",
      id,
      message,
    }));
  }

  reset(): void {
    if (resetObstacle(this.current)) return;
    const id = newId();
    const { epoch } = this.current;
    this.dispatch({ type: "reset_clicked", id });
    this.ask({ type: "reset", id, epoch }, (message) => ({ type: "request_failed", id, message }));
  }

  private dispatch(event: PanelEvent): void {
    this.current = reduce(this.current, event);
    this.catchUp();
    for (const subscriber of this.subscribers) subscriber();
  }

  /** A late view, or one that missed a message, asks for the whole. */
  private catchUp(): void {
    if (this.current.sync !== "stale") return;
    const id = newId();
    this.current = reduce(this.current, { type: "snapshot_requested", id });
    this.ask({ type: "snapshot_request", id }, (message) => ({
      type: "request_failed",
      id,
      message,
    }));
  }

  private ask(message: PanelMessage, failed: (why: string) => PanelEvent): void {
    try {
      this.transport.send(message);
    } catch (error) {
      console.warn("gemma_notebook: the kernel cannot be reached", error);
      this.dispatch(
        failed("The kernel cannot be reached. Run the cell that made this panel again."),
      );
      return;
    }
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (this.current.asked.some((a) => a.id === message.id)) {
        this.dispatch({ type: "unanswered", id: message.id });
      }
    }, LATE_AFTER_MS);
    this.timers.add(timer);
  }
}

/** A UUID. `crypto.randomUUID` is missing where Jupyter is served over plain http. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
