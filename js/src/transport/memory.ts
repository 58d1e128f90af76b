import type { PanelMessage } from "../protocol";
import type { KernelState, Transport } from "./transport";

/** A transport whose kernel is the test or the development page. */
export class MemoryTransport implements Transport {
  readonly sent: PanelMessage[] = [];
  /** When set, `send` throws it, as a dead kernel connection does. */
  broken: Error | null = null;
  onSend: ((message: PanelMessage) => void) | null = null;
  kernel: KernelState = "alive";
  private readonly listeners = new Set<(raw: unknown) => void>();
  private readonly kernelListeners = new Set<(kernel: KernelState) => void>();

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

  onKernel(callback: (kernel: KernelState) => void): () => void {
    this.kernelListeners.add(callback);
    return () => this.kernelListeners.delete(callback);
  }

  /** Lets the kernel run a cell, end it, or die. */
  become(kernel: KernelState): void {
    this.kernel = kernel;
    for (const listener of this.kernelListeners) listener(kernel);
  }
}
