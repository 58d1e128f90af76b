/** The wire between the kernel and the panel. `tests/wire_messages.json` holds both sides to it. */

export type Status =
  | "idle"
  | "queued"
  | "restoring"
  | "generating"
  | "stopping"
  | "resetting"
  | "failed"
  | "closed";
export type Role = "user" | "assistant";
export type TurnState = "streaming" | "done" | "cancelled" | "error";
export type FinishReason = "stop" | "length" | "cancelled" | "context_full" | "tool_calls";
export type CallState = "asking" | "running" | "done" | "denied" | "stopped" | "error";
export type Retry = "send" | "reset";
export type ExportFormat = "markdown" | "html" | "json";

export interface Model {
  name: string;
  context_limit: number;
  supports_thinking: boolean;
  supports_tools: boolean;
  modalities: string[];
}

/** A session's options, as far as the panel shows them; `tools`: the chat's tools are on. */
export interface OptionValues {
  system_instruction: string | null;
  temperature: number;
  top_k: number;
  top_p: number | null;
  random_seed: number;
  max_output_tokens: number | null;
  enable_thinking: boolean;
  tools: boolean;
}

/** The options of this chat, and those of the next where they differ. */
export interface Settings {
  options: OptionValues;
  pending: OptionValues | null;
  tools: string[];
  context_policy: "trim" | "error";
}

export interface Context {
  tokens: number;
  limit: number;
  /** How many of the oldest turns the model has forgotten to make room. */
  forgotten_turns?: number;
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

/** Which of the alternatives at this place a message is; `index` counts from 1. */
export interface Branch {
  index: number;
  count: number;
}

/** A file that was sent with a prompt. */
export interface FileInfo {
  name: string;
  type: string;
  size: number;
}

/** A call of a tool: what the model asked for, and what came of it. */
export interface Call {
  id: string;
  name: string;
  arguments: unknown;
  state: CallState;
  result?: string;
}

/** One message of the chat, as a snapshot tells it. */
export interface ChatMessage {
  turn: number;
  role: Role;
  text: string;
  state: TurnState;
  thinking?: string;
  tool_calls?: Call[];
  files?: FileInfo[];
  branch?: Branch;
  request?: string;
  finish_reason?: FinishReason;
  error?: Problem;
  timing?: Timing;
  usage?: Usage;
  /** Older turns that were dropped to make room for this one. */
  trimmed_turns?: number;
}

interface Envelope {
  /** The chat of the panel that it belongs to; the first where it is left out. */
  chat?: string;
  epoch: number;
  seq: number;
}

export interface SnapshotMessage extends Envelope {
  type: "snapshot";
  status: Status;
  model: Model;
  settings: Settings;
  prompts: string[];
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
export type TurnMessage = Envelope & { type: "turn" } & Omit<ChatMessage, "text"> & {
    text?: string;
  };

/** `offset` and lengths count UTF-16 code units, as `String.length` does. */
export interface DeltaMessage extends Envelope {
  type: "delta";
  turn: number;
  part?: "thinking";
  offset: number;
  text: string;
}

export interface ToolMessage extends Envelope {
  type: "tool";
  turn: number;
  call: Call;
}

/** What follows the message `after` (null: from the beginning) is now this. */
export interface BranchMessage extends Envelope {
  type: "branch";
  after: number | null;
  messages: ChatMessage[];
  request?: string;
}

export interface SettingsMessage extends Envelope {
  type: "settings";
  settings: Settings;
  request?: string;
}

/** The life of one native handle, in seconds since the engine was opened; null: not yet. */
export interface HandleLife {
  handle: number;
  created_s: number;
  spent_s: number | null;
  closed_s: number | null;
  tokens: number | null;
  sends: number;
  /** Clones of it that are kept for undo. */
  checkpoints: number;
  current: boolean;
  end: string;
}

export interface HoodMessage extends Envelope {
  type: "hood";
  request?: string;
  now_s: number;
  /** Handles before these that are not told. */
  earlier: number;
  handles: Handles;
  lives: HandleLife[];
}

/** A chat as the text of a file. */
export interface ExportedMessage extends Envelope {
  type: "exported";
  request?: string;
  name: string;
  media_type: string;
  text: string;
}

/** `text` gives a prompt back that was not sent to the model. */
export interface ErrorMessage extends Envelope {
  type: "error";
  kind: string;
  message: string;
  retry: Retry | null;
  request?: string;
  text?: string;
}

/** What belongs to one chat, in the order of `seq`. */
export type KernelMessage =
  | SnapshotMessage
  | StateMessage
  | TurnMessage
  | DeltaMessage
  | ToolMessage
  | BranchMessage
  | SettingsMessage
  | HoodMessage
  | ExportedMessage
  | ErrorMessage;

export interface Tab {
  id: string;
  name: string;
}

/** The chats of the panel: always the whole list. `show` is one that was just opened. */
export interface ChatsMessage {
  type: "chats";
  chats: Tab[];
  request?: string;
  show?: string;
  error?: string;
}

export type PanelMessage =
  | { type: "send"; id: string; epoch: number; text: string; files?: Omit<FileInfo, "size">[] }
  | { type: "stop"; id: string; epoch: number }
  | { type: "reset"; id: string; epoch: number }
  | { type: "regenerate"; id: string; epoch: number; turn: number }
  | { type: "edit"; id: string; epoch: number; turn: number; text: string }
  | { type: "undo"; id: string; epoch: number }
  | { type: "switch"; id: string; epoch: number; turn: number; index: number }
  | { type: "tool_decision"; id: string; epoch: number; call: string; allow: boolean }
  | { type: "options"; id: string; epoch: number; options: Partial<OptionValues> | null }
  | { type: "hood_request"; id: string }
  | {
      type: "export";
      id: string;
      format: ExportFormat;
      messages?: readonly ChatMessage[];
      options?: OptionValues;
    }
  | { type: "import"; id: string; epoch: number; text: string }
  | { type: "snapshot_request"; id: string };

/** What is about the panel's chats as a whole. */
export type ChatsRequest =
  | { type: "chats_request"; id: string }
  /** With the options of the chat `like`. */
  | { type: "open_chat"; id: string; like: string }
  | { type: "close_chat"; id: string; close: string };

/** A message on its way to the kernel; without `chat` it is about the first chat. */
export type Outgoing = (PanelMessage & { chat?: string }) | ChatsRequest;
