import type { AnyModel } from "@anywidget/types";
import type { Outgoing } from "../protocol";
import { type JupyterKernel, kernelOf, whenLost, whenSilent } from "./jupyter";
import type { Transport } from "./transport";

/**
 * Custom messages of an anywidget model.
 *
 * Not synced traits: the front end delays those while one is pending, and saves them with the notebook.
 */
export class AnywidgetTransport implements Transport {
  readonly interrupt?: () => void;
  private readonly kernel: JupyterKernel | undefined;

  constructor(private readonly model: AnyModel) {
    const kernel = kernelOf(model);
    this.kernel = kernel;
    const interrupt = kernel?.interrupt?.bind(kernel);
    if (interrupt) this.interrupt = () => void interrupt().catch(() => {});
  }

  send(message: Outgoing, buffers: ArrayBuffer[] = []): void {
    this.model.send(message, undefined, buffers);
  }

  onMessage(callback: (raw: unknown) => void): () => void {
    const listener = (content: unknown) => callback(content);
    this.model.on("msg:custom", listener);
    return () => this.model.off("msg:custom", listener);
  }

  onLost(callback: (why: string | null) => void): () => void {
    const ends = [whenLost(this.model, this.kernel, callback), whenSilent(this.model, callback)];
    return () => {
      for (const end of ends) end();
    };
  }
}
