import type {
  Branch,
  Call,
  CallState,
  ChatMessage,
  ChatsMessage,
  Context,
  FileInfo,
  FinishReason,
  HandleLife,
  Handles,
  KernelMessage,
  Model,
  OptionValues,
  Problem,
  Retry,
  Role,
  Settings,
  Status,
  Tab,
  Timing,
  TurnState,
  Usage,
} from "./messages";
import {
  boolean,
  count,
  type Fields,
  fields,
  list,
  Malformed,
  measure,
  nullable,
  number,
  oneOf,
  optional,
  string,
} from "./readers";

const STATUSES = [
  "idle",
  "queued",
  "restoring",
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
const CALL_STATES = [
  "asking",
  "running",
  "done",
  "denied",
  "stopped",
  "error",
] as const satisfies readonly CallState[];
const RETRIES = ["send", "reset"] as const satisfies readonly Retry[];

/** The message that `raw` is, or `undefined` with a warning: a newer or broken kernel must not break the panel. */
export function parseKernelMessage(raw: unknown): KernelMessage | ChatsMessage | undefined {
  try {
    const f = fields(raw, "message");
    return f.type === "chats" ? chats(f) : readMessage(f);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    console.warn(`gemma_notebook: ignored a message: ${error.message}`);
    return undefined;
  }
}

function readMessage(f: Fields): KernelMessage {
  const envelope = {
    ...optional("chat", f.chat, string),
    epoch: count(f.epoch, "epoch"),
    seq: count(f.seq, "seq"),
  };
  switch (f.type) {
    case "snapshot":
      return {
        type: "snapshot",
        ...envelope,
        ...condition(f),
        model: model(f.model),
        settings: settings(f.settings),
        prompts: list(f.prompts, "prompts", string),
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
        ...optional("part", f.part, oneOf(["thinking"] as const)),
        offset: count(f.offset, "offset"),
        text: string(f.text, "text"),
      };
    case "tool":
      return {
        type: "tool",
        ...envelope,
        turn: count(f.turn, "turn"),
        call: call(f.call, "call"),
      };
    case "branch":
      return {
        type: "branch",
        ...envelope,
        after: nullable(count)(f.after, "after"),
        messages: list(f.messages, "messages", chatMessage),
        ...optional("request", f.request, string),
      };
    case "settings":
      return {
        type: "settings",
        ...envelope,
        settings: settings(f.settings),
        ...optional("request", f.request, string),
      };
    case "hood":
      return {
        type: "hood",
        ...envelope,
        now_s: number(f.now_s, "now_s"),
        earlier: count(f.earlier, "earlier"),
        handles: handles(f.handles),
        lives: list(f.lives, "lives", handleLife),
        ...optional("request", f.request, string),
      };
    case "exported":
      return {
        type: "exported",
        ...envelope,
        name: string(f.name, "name"),
        media_type: string(f.media_type, "media_type"),
        text: string(f.text, "text"),
        ...optional("request", f.request, string),
      };
    case "error":
      return {
        type: "error",
        ...envelope,
        ...problem(f, "error"),
        ...optional("request", f.request, string),
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
    ...optional("thinking", f.thinking, string),
    ...optional("tool_calls", f.tool_calls, (value, name) => list(value, name, call)),
    ...optional("files", f.files, (value, name) => list(value, name, file)),
    ...optional("branch", f.branch, branch),
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
    supports_thinking: boolean(f.supports_thinking, "model.supports_thinking"),
    supports_tools: boolean(f.supports_tools, "model.supports_tools"),
    modalities: list(f.modalities, "model.modalities", string),
  };
}

function settings(value: unknown): Settings {
  const f = fields(value, "settings");
  return {
    options: optionValues(f.options, "settings.options"),
    pending: nullable(optionValues)(f.pending, "settings.pending"),
    tools: list(f.tools, "settings.tools", string),
    context_policy: oneOf(["trim", "error"] as const)(f.context_policy, "settings.context_policy"),
  };
}

function optionValues(value: unknown, name: string): OptionValues {
  const f = fields(value, name);
  return {
    system_instruction: nullable(string)(f.system_instruction, `${name}.system_instruction`),
    temperature: number(f.temperature, `${name}.temperature`),
    top_k: count(f.top_k, `${name}.top_k`),
    top_p: nullable(number)(f.top_p, `${name}.top_p`),
    random_seed: count(f.random_seed, `${name}.random_seed`),
    max_output_tokens: nullable(count)(f.max_output_tokens, `${name}.max_output_tokens`),
    enable_thinking: boolean(f.enable_thinking, `${name}.enable_thinking`),
    tools: boolean(f.tools, `${name}.tools`),
  };
}

function branch(value: unknown, name: string): Branch {
  const f = fields(value, name);
  return { index: count(f.index, `${name}.index`), count: count(f.count, `${name}.count`) };
}

function file(value: unknown, name: string): FileInfo {
  const f = fields(value, name);
  return {
    name: string(f.name, `${name}.name`),
    type: string(f.type, `${name}.type`),
    size: count(f.size, `${name}.size`),
  };
}

function call(value: unknown, name: string): Call {
  const f = fields(value, name);
  return {
    id: string(f.id, `${name}.id`),
    name: string(f.name, `${name}.name`),
    arguments: f.arguments,
    state: oneOf(CALL_STATES)(f.state, `${name}.state`),
    ...optional("result", f.result, string),
  };
}

function handleLife(value: unknown, name: string): HandleLife {
  const f = fields(value, name);
  return {
    handle: count(f.handle, `${name}.handle`),
    created_s: number(f.created_s, `${name}.created_s`),
    spent_s: nullable(number)(f.spent_s, `${name}.spent_s`),
    closed_s: nullable(number)(f.closed_s, `${name}.closed_s`),
    tokens: nullable(count)(f.tokens, `${name}.tokens`),
    sends: count(f.sends, `${name}.sends`),
    checkpoints: count(f.checkpoints, `${name}.checkpoints`),
    current: boolean(f.current, `${name}.current`),
    end: string(f.end, `${name}.end`),
  };
}

function chats(f: Fields): ChatsMessage {
  return {
    type: "chats",
    chats: list(f.chats, "chats", tab),
    ...optional("request", f.request, string),
    ...optional("show", f.show, string),
    ...optional("error", f.error, string),
  };
}

function tab(value: unknown, name: string): Tab {
  const f = fields(value, name);
  return { id: string(f.id, `${name}.id`), name: string(f.name, `${name}.name`) };
}

function context(value: unknown): Context {
  const f = fields(value, "context");
  return {
    tokens: count(f.tokens, "context.tokens"),
    limit: count(f.limit, "context.limit"),
    ...optional("forgotten_turns", f.forgotten_turns, count),
  };
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
