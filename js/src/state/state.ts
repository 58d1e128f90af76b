import type {
  ChatMessage,
  Context,
  Handles,
  KernelMessage,
  Model,
  PanelMessage,
  Retry,
  Status,
} from "../protocol";

/** A prompt of this front end that no reply has begun to answer yet. */
export interface Outgoing {
  id: string;
  text: string;
  epoch: number;
  /** The turn that the kernel gave it; null until it has. */
  turn: number | null;
  /** It was sent before the latest request for a snapshot. */
  beforeSnapshotRequest: boolean;
}

/** A request to the kernel that has had no answer yet. */
export interface Asked {
  id: string;
  type: PanelMessage["type"];
  late: boolean;
}

/** Something to tell the user that belongs to no message. */
export interface Notice {
  message: string;
  retry: Retry | null;
  /** The prompt that `retry: "send"` sends again. */
  text?: string;
}

/** `stale`: something was missed, ask for a snapshot. `asked`: done, it is on its way. */
export type Sync = "fresh" | "stale" | "asked";

export interface PanelState {
  /** A snapshot has arrived. */
  ready: boolean;
  sync: Sync;
  seq: number;
  epoch: number;
  /** Nothing that belongs to an epoch up to this one may be shown any more. */
  floor: number;
  status: Status;
  /** The reset under way; its id where this front end asked for it. */
  resetting: { id: string | null; epoch: number } | null;
  model: Model;
  messages: readonly ChatMessage[];
  context: Context;
  handles: Handles;
  handle: number | null;
  outbox: readonly Outgoing[];
  asked: readonly Asked[];
  notice: Notice | null;
  draft: string;
}

export type PanelEvent =
  | { type: "received"; message: KernelMessage }
  | { type: "drafted"; text: string }
  | { type: "sent"; id: string; text: string }
  | { type: "send_failed"; id: string; message: string }
  | { type: "stop_clicked"; id: string }
  | { type: "reset_clicked"; id: string }
  | { type: "request_failed"; id: string; message: string }
  | { type: "snapshot_requested"; id: string }
  | { type: "unanswered"; id: string };

export const initialState: PanelState = {
  ready: false,
  sync: "stale",
  seq: 0,
  epoch: 0,
  floor: 0,
  status: "idle",
  resetting: null,
  model: { name: "Gemma", context_limit: 0 },
  messages: [],
  context: { tokens: 0, limit: 0 },
  handles: { created: 0, closed: 0, live: 0, checkpoints: 0 },
  handle: null,
  outbox: [],
  asked: [],
  notice: null,
  draft: "",
};
