import type { PanelMessage } from "../protocol";
import type { Transport } from "./transport";

/** A transport whose kernel is the test or the development page. */
export class MemoryTransport implements Transport {
  readonly sent: PanelMessage[] = [];
  /** When set, `send` throws it, as a dead kernel connection does. */
  broken: Error | null = null;
  onSend: ((message: PanelMessage) => void) | null = null;
  private readonly listeners = new Set<(raw: unknown) => void>();

  send(message: PanelMessage): void {
    if (this.broken) throw this.broken;
    this.sent.push(message);
    this.onSend?.(message);
  }

  onMessage(callback: (raw: unknown) => void): () => void {
    this.listeners.add(callback);
    return () => this.listeners.delete(callback);
  }

  receive(raw: unknown): void {
    for (const listener of this.listeners) listener(raw);
  }
}
