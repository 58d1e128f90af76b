import type { Outgoing } from "../protocol";

/** How the panel reaches the kernel. The components know nothing else of where they run. */
export interface Transport {
  /** Hands a message over, with binary buffers; throws if there is no kernel to take it. */
  send(message: Outgoing, buffers?: ArrayBuffer[]): void;
  /** Calls back with each raw message from the kernel, until the returned function is called. */
  onMessage(callback: (raw: unknown) => void): () => void;
  /** Calls back when the kernel is gone for good, with words for the user; with null when it was not. */
  onLost?(callback: (why: string | null) => void): () => void;
  /** Interrupts the cell that runs, where the host allows that. */
  interrupt?(): void;
}
