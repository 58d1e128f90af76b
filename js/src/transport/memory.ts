import type { Outgoing } from "../protocol";
import type { Transport } from "./transport";

/** A transport whose kernel is the test or the development page. */
export class MemoryTransport implements Transport {
  readonly sent: Outgoing[] = [];
  readonly buffers: ArrayBuffer[][] = [];
  /** When set, `send` throws it, as a dead kernel connection does. */
  broken: Error | null = null;
  onSend: ((message: Outgoing) => void) | null = null;
  interrupt?: () => void;
  private readonly listeners = new Set<(raw: unknown) => void>();
  private readonly mourners = new Set<(why: string | null) => void>();

  send(message: Outgoing, buffers: ArrayBuffer[] = []): void {
    if (this.broken) throw this.broken;
    this.sent.push(message);
    this.buffers.push(buffers);
    this.onSend?.(message);
  }

  onMessage(callback: (raw: unknown) => void): () => void {
    this.listeners.add(callback);
    return () => this.listeners.delete(callback);
  }

  onLost(callback: (why: string | null) => void): () => void {
    this.mourners.add(callback);
    return () => this.mourners.delete(callback);
  }

  receive(raw: unknown): void {
    for (const listener of this.listeners) listener(raw);
  }

  lose(why: string | null): void {
    for (const mourner of this.mourners) mourner(why);
  }
}
