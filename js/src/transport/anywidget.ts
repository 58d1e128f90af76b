import type { AnyModel } from "@anywidget/types";
import type { PanelMessage } from "../protocol";
import type { Transport } from "./transport";

/**
 * Custom messages of an anywidget model.
 *
 * Not synced traits: the front end delays those while one is pending, and saves them with the notebook.
 */
export class AnywidgetTransport implements Transport {
  constructor(private readonly model: AnyModel) {}

  send(message: PanelMessage): void {
    this.model.send(message);
  }

  onMessage(callback: (raw: unknown) => void): () => void {
    const listener = (content: unknown) => callback(content);
    this.model.on("msg:custom", listener);
    return () => this.model.off("msg:custom", listener);
  }
}
