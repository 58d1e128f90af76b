import type { PanelMessage } from "../protocol";

/**
 * What is known of the kernel behind a panel.
 *
 * `busy`: a cell runs. `dead`: it ended or was restarted; what it held is gone, and no message gets there any more.
 */
export type KernelState = "alive" | "busy" | "dead";

/** How the panel reaches the kernel. The components know nothing else of where they run. */
export interface Transport {
  /** `alive` too where the host tells nothing of its kernel. */
  readonly kernel: KernelState;
  /** Hands a message over; throws if there is no kernel to take it. */
  send(message: PanelMessage): void;
  /** Calls back with each raw message from the kernel, until the returned function is called. */
  onMessage(callback: (raw: unknown) => void): () => void;
  /** Calls back with each change of `kernel`, until the returned function is called. */
  onKernel(callback: (kernel: KernelState) => void): () => void;
}
