import type {
  ChatMessage,
  Context,
  Handles,
  HoodMessage,
  KernelMessage,
  Model,
  OptionValues,
  PanelMessage,
  Retry,
  Settings,
  Status,
} from "../protocol";
import type { Attached } from "./files";

/** A prompt of this front end that no reply has begun to answer yet. */
export interface Outgoing {
  id: string;
  text: string;
  files: readonly Attached[];
  epoch: number;
  /** The turn that the kernel gave it; null until it has. */
  turn: number | null;
}

/** A request to the kernel that has had no answer yet; they stand in their order. */
export interface Asked {
  id: string;
  type: PanelMessage["type"];
  late: boolean;
  /** When it was asked. */
  epoch: number;
  /** What was written for it, which must not be lost with it. */
  text?: string;
  /** The call of a tool that it decides. */
  call?: string;
}

/** Something to tell the user that belongs to no message. */
export interface Notice {
  message: string;
  retry: Retry | null;
  /** The prompt that `retry: "send"` sends again, with these files. */
  text?: string;
  files?: readonly Attached[];
}

/** A prompt that did not reach the model and found the text box in use: it is nowhere else. */
export interface Held {
  id: string;
  text: string;
  files: readonly Attached[];
  /** Why it did not. */
  message: string;
}

/** A chat that was reset or closed, kept here alone until the user has saved it or does not want it. */
export interface Kept {
  messages: readonly ChatMessage[];
  /** Those that it had; the present chat may have others. */
  options: OptionValues;
  /** It was another tab's. */
  closed?: boolean;
  /** The first prompt of one that was closed, to tell it from others. */
  name?: string;
  /** The latest request for its file. */
  request: string | null;
  /** The file has come. */
  saved: boolean;
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
  settings: Settings;
  /** Why the latest wish for other options was refused. */
  settingsError: string | null;
  /** What an empty chat offers to begin with. */
  prompts: readonly string[];
  messages: readonly ChatMessage[];
  context: Context;
  handles: Handles;
  handle: number | null;
  outbox: readonly Outgoing[];
  asked: readonly Asked[];
  notice: Notice | null;
  /** Until they are sent again or dismissed. */
  held: readonly Held[];
  draft: string;
  /** The files that will go with the next prompt. */
  attached: readonly Attached[];
  hood: HoodMessage | null;
  /** The chat that was reset last, and those whose tabs were closed. */
  kept: readonly Kept[];
  /** Why there is no kernel behind the panel any more; it can only be read then. */
  lost: string | null;
}

export type PanelEvent =
  | { type: "received"; message: KernelMessage }
  | { type: "drafted"; text: string }
  | { type: "attached"; files: readonly Attached[] }
  | { type: "sent"; id: string; text: string; files?: readonly Attached[] }
  | { type: "send_failed"; id: string; message: string }
  | { type: "stop_clicked"; id: string }
  | { type: "reset_clicked"; id: string }
  | { type: "asked"; id: string; request: PanelMessage["type"]; text?: string; call?: string }
  | { type: "undo_clicked"; id: string }
  | { type: "kept_save_clicked"; id: string; messages: readonly ChatMessage[] }
  | { type: "kept_given"; kept: readonly Kept[]; held?: readonly Held[] }
  | { type: "kept_dismissed"; messages: readonly ChatMessage[] }
  | { type: "noticed"; message: string | null }
  | { type: "held_dropped"; id: string }
  | { type: "lost"; why: string | null }
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
  model: {
    name: "Gemma",
    context_limit: 0,
    supports_thinking: false,
    supports_tools: false,
    modalities: ["text"],
  },
  settings: {
    options: {
      system_instruction: null,
      temperature: 0.8,
      top_k: 1,
      top_p: null,
      random_seed: 1,
      max_output_tokens: null,
      enable_thinking: false,
      tools: false,
    },
    pending: null,
    tools: [],
    context_policy: "trim",
  },
  settingsError: null,
  prompts: [],
  messages: [],
  context: { tokens: 0, limit: 0 },
  handles: { created: 0, closed: 0, live: 0, checkpoints: 0 },
  handle: null,
  outbox: [],
  asked: [],
  notice: null,
  held: [],
  draft: "",
  attached: [],
  hood: null,
  kept: [],
  lost: null,
};
