import type {
  ChatMessage,
  Context,
  FinishReason,
  Handles,
  KernelMessage,
  Model,
  Problem,
  Retry,
  Role,
  Status,
  Timing,
  TurnState,
  Usage,
} from "./messages";

type Fields = Record<string, unknown>;
type Reader<T> = (value: unknown, name: string) => T;

class Malformed extends Error {}

const STATUSES = [
  "idle",
  "queued",
  "generating",
  "stopping",
  "resetting",
  "failed",
  "closed",
] as const satisfies readonly Status[];
const ROLES = ["user", "assistant"] as const satisfies readonly Role[];
const TURN_STATES = [
  "streaming",
  "done",
  "cancelled",
  "error",
] as const satisfies readonly TurnState[];
const FINISH_REASONS = [
  "stop",
  "length",
  "cancelled",
  "context_full",
  "tool_calls",
] as const satisfies readonly FinishReason[];
const RETRIES = ["send", "reset"] as const satisfies readonly Retry[];

/** The message that `raw` is, or `undefined` with a warning: a newer or broken kernel must not break the panel. */
export function parseKernelMessage(raw: unknown): KernelMessage | undefined {
  try {
    return readMessage(fields(raw, "message"));
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    console.warn(`gemma_notebook: ignored a message: ${error.message}`);
    return undefined;
  }
}

function readMessage(f: Fields): KernelMessage {
  const envelope = { epoch: count(f.epoch, "epoch"), seq: count(f.seq, "seq") };
  switch (f.type) {
    case "snapshot":
      return {
        type: "snapshot",
        ...envelope,
        ...condition(f),
        model: model(f.model),
        messages: list(f.messages, "messages", chatMessage),
        ...optional("request", f.request, string),
        ...optional("error", f.error, panelError),
      };
    case "state":
      return {
        type: "state",
        ...envelope,
        ...condition(f),
        ...optional("request", f.request, string),
      };
    case "turn":
      return {
        type: "turn",
        ...envelope,
        ...turnFields(f),
        ...optional("text", f.text, string),
      };
    case "delta":
      return {
        type: "delta",
        ...envelope,
        turn: count(f.turn, "turn"),
        offset: count(f.offset, "offset"),
        text: string(f.text, "text"),
      };
    case "error":
      return {
        type: "error",
        ...envelope,
        ...problem(f, "error"),
        ...optional("request", f.request, string),
        ...optional("turn", f.turn, count),
        ...optional("text", f.text, string),
      };
    default:
      throw new Malformed(`unknown type ${JSON.stringify(f.type)}`);
  }
}

function condition(f: Fields) {
  return {
    status: oneOf(STATUSES)(f.status, "status"),
    context: context(f.context),
    handles: handles(f.handles),
    handle: f.handle === null ? null : count(f.handle, "handle"),
  };
}

function turnFields(f: Fields) {
  return {
    turn: count(f.turn, "turn"),
    role: oneOf(ROLES)(f.role, "role"),
    state: oneOf(TURN_STATES)(f.state, "state"),
    ...optional("request", f.request, string),
    ...optional("finish_reason", f.finish_reason, oneOf(FINISH_REASONS)),
    ...optional("error", f.error, problem),
    ...optional("timing", f.timing, timing),
    ...optional("usage", f.usage, usage),
    ...optional("trimmed_turns", f.trimmed_turns, count),
  };
}

function chatMessage(value: unknown, name: string): ChatMessage {
  const f = fields(value, name);
  return { ...turnFields(f), text: string(f.text, `${name}.text`) };
}

function model(value: unknown): Model {
  const f = fields(value, "model");
  return {
    name: string(f.name, "model.name"),
    context_limit: count(f.context_limit, "model.context_limit"),
  };
}

function context(value: unknown): Context {
  const f = fields(value, "context");
  return { tokens: count(f.tokens, "context.tokens"), limit: count(f.limit, "context.limit") };
}

function handles(value: unknown): Handles {
  const f = fields(value, "handles");
  return {
    created: count(f.created, "handles.created"),
    closed: count(f.closed, "handles.closed"),
    live: count(f.live, "handles.live"),
    checkpoints: count(f.checkpoints, "handles.checkpoints"),
  };
}

function timing(value: unknown, name: string): Timing {
  const f = fields(value, name);
  return {
    time_to_first_token_s: measure(f.time_to_first_token_s, name),
    prefill_tokens_per_s: measure(f.prefill_tokens_per_s, name),
    decode_tokens_per_s: measure(f.decode_tokens_per_s, name),
    total_s: measure(f.total_s, name),
  };
}

function usage(value: unknown, name: string): Usage {
  const f = fields(value, name);
  return {
    prompt_tokens: count(f.prompt_tokens, name),
    output_tokens: count(f.output_tokens, name),
    context_tokens: count(f.context_tokens, name),
    context_limit: count(f.context_limit, name),
  };
}

function problem(value: unknown, name: string): Problem {
  const f = fields(value, name);
  return {
    kind: string(f.kind, `${name}.kind`),
    message: string(f.message, `${name}.message`),
    retry: f.retry === null ? null : oneOf(RETRIES)(f.retry, `${name}.retry`),
  };
}

function panelError(value: unknown, name: string) {
  const f = fields(value, name);
  return {
    message: string(f.message, `${name}.message`),
    remedy: f.remedy === null ? null : oneOf(["reset"] as const)(f.remedy, `${name}.remedy`),
  };
}

function fields(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Malformed(`${name} is not an object`);
  }
  return value as Fields;
}

function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw new Malformed(`${name} is not a string`);
  return value;
}

function count(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw new Malformed(`${name} is not a whole number`);
  }
  return value as number;
}

function measure(value: unknown, name: string): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== "number")
    throw new Malformed(`${name} holds something that is not a number`);
  return value;
}

function list<T>(value: unknown, name: string, read: Reader<T>): T[] {
  if (!Array.isArray(value)) throw new Malformed(`${name} is not a list`);
  return value.map((item, index) => read(item, `${name}[${index}]`));
}

function oneOf<const T extends string>(allowed: readonly T[]): Reader<T> {
  return (value, name) => {
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined) throw new Malformed(`${name} is ${JSON.stringify(value)}`);
    return found;
  };
}

/** `{name: value}` where the kernel gave one, `{}` where it left it out or said null. */
function optional<K extends string, T>(name: K, value: unknown, read: Reader<T>): { [P in K]?: T } {
  if (value === undefined || value === null) return {};
  return { [name]: read(value, name) } as { [P in K]?: T };
}
