/** The wire between the kernel and the panel. `tests/wire_messages.json` holds both sides to it. */

export type Status =
  | "idle"
  | "queued"
  | "generating"
  | "stopping"
  | "resetting"
  | "failed"
  | "closed";
export type Role = "user" | "assistant";
export type TurnState = "streaming" | "done" | "cancelled" | "error";
export type FinishReason = "stop" | "length" | "cancelled" | "context_full" | "tool_calls";
export type Retry = "send" | "reset";

export interface Model {
  name: string;
  context_limit: number;
}

export interface Context {
  tokens: number;
  limit: number;
}

export interface Handles {
  created: number;
  closed: number;
  live: number;
  checkpoints: number;
}

export interface Timing {
  time_to_first_token_s: number | null;
  prefill_tokens_per_s: number | null;
  decode_tokens_per_s: number | null;
  total_s: number | null;
}

export interface Usage {
  prompt_tokens: number;
  output_tokens: number;
  context_tokens: number;
  context_limit: number;
}

/** What went wrong with one turn, in words for the user, and what to try. */
export interface Problem {
  kind: string;
  message: string;
  retry: Retry | null;
}

/** One message of the chat, as a snapshot tells it. */
export interface ChatMessage {
  turn: number;
  role: Role;
  text: string;
  state: TurnState;
  request?: string;
  finish_reason?: FinishReason;
  error?: Problem;
  timing?: Timing;
  usage?: Usage;
  /** Older turns that were dropped to make room for this one. */
  trimmed_turns?: number;
}

interface Envelope {
  epoch: number;
  seq: number;
}

export interface SnapshotMessage extends Envelope {
  type: "snapshot";
  status: Status;
  model: Model;
  messages: ChatMessage[];
  context: Context;
  handles: Handles;
  handle: number | null;
  request?: string;
  error?: { message: string; remedy: "reset" | null };
}

export interface StateMessage extends Envelope {
  type: "state";
  status: Status;
  context: Context;
  handles: Handles;
  handle: number | null;
  request?: string;
}

/** A message begins, or ends. `text`, where given, is its whole text. */
export interface TurnMessage extends Envelope {
  type: "turn";
  turn: number;
  role: Role;
  state: TurnState;
  text?: string;
  request?: string;
  finish_reason?: FinishReason;
  error?: Problem;
  timing?: Timing;
  usage?: Usage;
  /** Older turns that were dropped to make room for this one. */
  trimmed_turns?: number;
}

/** `offset` and lengths count UTF-16 code units, as `String.length` does. */
export interface DeltaMessage extends Envelope {
  type: "delta";
  turn: number;
  offset: number;
  text: string;
}

/** `text` gives a prompt back that was not sent to the model. */
export interface ErrorMessage extends Envelope {
  type: "error";
  kind: string;
  message: string;
  retry: Retry | null;
  request?: string;
  turn?: number;
  text?: string;
}

export type KernelMessage =
  | SnapshotMessage
  | StateMessage
  | TurnMessage
  | DeltaMessage
  | ErrorMessage;

export type PanelMessage =
  | { type: "send"; id: string; epoch: number; text: string }
  | { type: "stop"; id: string; epoch: number }
  | { type: "reset"; id: string; epoch: number }
  | { type: "snapshot_request"; id: string };
