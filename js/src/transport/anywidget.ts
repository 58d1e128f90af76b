import type { AnyModel } from "@anywidget/types";
import type { PanelMessage } from "../protocol";
import { KernelWatch } from "./kernel-watch";
import type { KernelState, Transport } from "./transport";

/**
 * Custom messages of an anywidget model.
 *
 * Not synced traits: the front end delays those while one is pending, and saves them with the notebook.
 */
export class AnywidgetTransport implements Transport {
  private readonly watch: KernelWatch;

  constructor(private readonly model: AnyModel) {
    this.watch = new KernelWatch(model.widget_manager);
  }

  get kernel(): KernelState {
    return this.watch.kernel;
  }

  send(message: PanelMessage): void {
    this.model.send(message);
  }

  onMessage(callback: (raw: unknown) => void): () => void {
    const listener = (content: unknown) => callback(content);
    this.model.on("msg:custom", listener);
    return () => this.model.off("msg:custom", listener);
  }

  onKernel(callback: (kernel: KernelState) => void): () => void {
    return this.watch.onChange(callback);
  }

  /** Lets go of the kernel's signals; to be called when the model goes. */
  dispose(): void {
    this.watch.dispose();
  }
}
