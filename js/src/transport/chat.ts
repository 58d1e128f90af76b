import type { PanelMessage } from "../protocol";
import type { Transport } from "./transport";

/** The line of one chat of the panel, on the panel's line. */
export class ChatTransport implements Transport {
  /** `chat`: its name; undefined for the first chat, whose messages have none. */
  constructor(
    private readonly line: Transport,
    private readonly chat: string | undefined,
  ) {}

  send(message: PanelMessage, buffers: ArrayBuffer[] = []): void {
    const { chat } = this;
    this.line.send(chat === undefined ? message : { ...message, chat }, buffers);
  }

  onMessage(callback: (raw: unknown) => void): () => void {
    return this.line.onMessage((raw) => {
      const { chat, type } = (raw ?? {}) as { chat?: unknown; type?: unknown };
      if (chat === this.chat && type !== "chats") callback(raw);
    });
  }
}
