import type { PanelMessage } from "../protocol";

/** How the panel reaches the kernel. The components know nothing else of where they run. */
export interface Transport {
  /** Hands a message over; throws if there is no kernel to take it. */
  send(message: PanelMessage): void;
  /** Calls back with each raw message from the kernel, until the returned function is called. */
  onMessage(callback: (raw: unknown) => void): () => void;
}
