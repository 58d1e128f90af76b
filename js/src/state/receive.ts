import type {
  BranchMessage,
  ChatMessage,
  DeltaMessage,
  ErrorMessage,
  KernelMessage,
  SettingsMessage,
  SnapshotMessage,
  StateMessage,
  ToolMessage,
  TurnMessage,
} from "../protocol";
import { isBusy } from "./describe";
import type { Asked, Outgoing, PanelState } from "./state";
import { answered, beginReset, giveBack, giveBackEdit, keep, requestFailed, stale } from "./steps";

/** What the kernel says. */
export function receive(state: PanelState, message: KernelMessage): PanelState {
  const next = take(state, message);
  // An import that was asked for here can still be refused: only now the old chat goes.
  const replaced = next.floor > state.floor && state.asked.some((a) => a.type === "import");
  return replaced ? { ...next, kept: keep(state) } : next;
}

function take(state: PanelState, message: KernelMessage): PanelState {
  if (message.type === "snapshot") return receiveSnapshot(state, message);
  if (!state.ready || message.seq <= state.seq) return state;
  const missedOne = message.seq !== state.seq + 1;
  const next = settle({ ...state, seq: message.seq }, message);
  if (message.type === "error") {
    return receiveError(missedOne ? stale(next) : next, message, state);
  }
  if (missedOne) return stale(next);
  if (next.sync !== "fresh") return next;
  switch (message.type) {
    case "state":
      return receiveState(next, message);
    case "turn":
      return receiveTurn(next, message);
    case "delta":
      return receiveDelta(next, message);
    case "tool":
      return receiveTool(next, message);
    case "branch":
      return receiveBranch(next, message, state);
    case "settings":
      return receiveSettings(next, message);
    case "hood":
      return { ...next, hood: message };
    case "exported":
      return next;
  }
}

/** Books what a message says about this front end's own requests: true whatever the epoch. */
function settle(state: PanelState, message: Exclude<KernelMessage, SnapshotMessage>): PanelState {
  if (!("request" in message) || message.request === undefined) return state;
  const { request } = message;
  const next = answered(state, request);
  if (message.type === "exported" && next.kept.some((k) => k.request === request)) {
    const kept = next.kept.map((k) => (k.request === request ? { ...k, saved: true } : k));
    return { ...next, kept };
  }
  if (message.type === "branch") {
    const begins = message.messages.some((m) => m.role === "assistant" && m.request === request);
    return begins ? { ...next, outbox: next.outbox.filter((o) => o.id !== request) } : next;
  }
  if (message.type !== "turn") return next;
  const outbox =
    message.role === "assistant"
      ? next.outbox.filter((o) => o.id !== request)
      : next.outbox.map((o) => (o.id === request ? { ...o, turn: message.turn } : o));
  return { ...next, outbox };
}

function receiveSnapshot(state: PanelState, message: SnapshotMessage): PanelState {
  if (state.ready && message.seq <= state.seq) return state;
  const booked: PanelState = {
    ...state,
    ready: true,
    seq: message.seq,
    sync: "fresh",
    asked: pending(state.asked, message),
  };
  if (message.epoch <= state.floor) return resetLost(booked, message);
  const known = new Map(message.messages.map((m) => [m.request, m]));
  const lost = booked.outbox.filter((o) => !known.has(o.id) && isLost(booked, message, o));
  // Whichever request the reply below a prompt answers: it may have been asked for again elsewhere.
  const answers = new Set(
    message.messages
      .filter((_, i) => message.messages[i + 1]?.role === "assistant")
      .map((m) => m.request),
  );
  // The model had a prompt of an older chat, and has forgotten it with that.
  const forgotten = (o: Outgoing) => o.turn !== null && o.epoch < message.epoch;
  const shown: PanelState = {
    ...booked,
    epoch: message.epoch,
    floor: message.epoch - 1,
    status: message.status,
    resetting: null,
    model: message.model,
    settings: message.settings,
    prompts: message.prompts,
    messages: message.messages,
    context: message.context,
    handles: message.handles,
    handle: message.handle,
    // A prompt that waits in the kernel can still be refused there.
    outbox: booked.outbox
      .filter((o) => (known.has(o.id) ? isBusy(message) && !answers.has(o.id) : !forgotten(o)))
      .map((o) => ({ ...o, turn: known.get(o.id)?.turn ?? o.turn })),
    notice: message.error
      ? { message: message.error.message, retry: message.error.remedy }
      : state.notice?.text === undefined
        ? null
        : state.notice,
  };
  const settled = message.status === "resetting" ? beginReset(shown, message.epoch, null) : shown;
  const given = lost.reduce(
    (s, o) => giveBack(s, o.id, "This message did not reach the model. Send it again."),
    settled,
  );
  return state.asked
    .filter((a) => !known.has(a.id) && !booked.asked.some((b) => b.id === a.id))
    .reduce((s, a) => unheard(s, a, message), given);
}

/** A request that the kernel never got, and of which nobody would hear again. */
function unheard(state: PanelState, asked: Asked, { epoch }: SnapshotMessage): PanelState {
  if (asked.type === "edit") {
    return giveBackEdit(state, asked, "This change did not reach the model. Make it again.");
  }
  if (asked.type === "import" && epoch <= asked.epoch) {
    return { ...state, notice: { message: "The file did not reach the kernel.", retry: null } };
  }
  return state;
}

/**
 * What still waits for an answer. The kernel takes requests in their order: what was asked before this snapshot was
 * asked for has been answered, and the answer was lost if it is not here. Only a reset is answered when it ends.
 */
function pending(asked: readonly Asked[], { request, status }: SnapshotMessage): Asked[] {
  const at = asked.findIndex((a) => a.id === request);
  if (at < 0) return asked.filter((a) => a.type !== "snapshot_request");
  const earlier = status === "resetting" ? asked.slice(0, at) : [];
  const resets = earlier.filter((a) => a.type === "reset" || a.type === "import");
  return [...resets.map((a) => ({ ...a, late: false })), ...asked.slice(at + 1)];
}

/** Nothing will come any more of a prompt that the snapshot does not have. */
function isLost(state: PanelState, { epoch, status }: SnapshotMessage, o: Outgoing): boolean {
  if (o.turn === null) return !state.asked.some((a) => a.id === o.id);
  return o.epoch === epoch && status !== "resetting";
}

/** The chat that shall be reset is still there, and no reset is going on: the kernel did not get it, or refused it. */
function resetLost(state: PanelState, { status }: SnapshotMessage): PanelState {
  const id = state.resetting?.id ?? null;
  if (id === null || status === "resetting" || state.asked.some((a) => a.id === id)) return state;
  return requestFailed(state, id, "The reset did not reach the model. Reset the chat again.");
}

function receiveState(state: PanelState, message: StateMessage): PanelState {
  if (message.epoch <= state.floor) return state;
  const shown: PanelState = {
    ...state,
    status: message.status,
    context: message.context,
    handles: message.handles,
    handle: message.handle,
  };
  if (message.epoch > state.epoch) {
    const fresh: PanelState = {
      ...shown,
      epoch: message.epoch,
      floor: message.epoch - 1,
      resetting: null,
      messages: [],
    };
    // What became of a prompt sent just before, its turns do not tell: the reset has dropped them on their way.
    return state.outbox.length > 0 ? stale(fresh) : fresh;
  }
  return message.status === "resetting" ? beginReset(shown, message.epoch, null) : shown;
}

function receiveTurn(state: PanelState, message: TurnMessage): PanelState {
  if (message.epoch <= state.floor) return state;
  if (message.epoch > state.epoch) return stale(state);
  const { type: _type, epoch: _epoch, seq: _seq, ...told } = message;
  const index = state.messages.findIndex((m) => m.turn === message.turn);
  if (index < 0) return { ...state, messages: [...state.messages, { text: "", ...told }] };
  return { ...state, messages: state.messages.with(index, merge(state.messages[index], told)) };
}

function merge(old: ChatMessage | undefined, told: Partial<ChatMessage>): ChatMessage {
  return { ...old, ...told } as ChatMessage;
}

function receiveDelta(state: PanelState, message: DeltaMessage): PanelState {
  if (message.epoch <= state.floor) return state;
  const index = state.messages.findLastIndex((m) => m.turn === message.turn);
  const old = state.messages[index];
  const part = message.part ?? "text";
  const known = old?.[part] ?? "";
  if (
    message.epoch > state.epoch ||
    old?.state !== "streaming" ||
    known.length !== message.offset
  ) {
    return stale(state);
  }
  return {
    ...state,
    messages: state.messages.with(index, { ...old, [part]: known + message.text }),
  };
}

function receiveTool(state: PanelState, message: ToolMessage): PanelState {
  if (message.epoch <= state.floor) return state;
  const index = state.messages.findLastIndex((m) => m.turn === message.turn);
  const old = state.messages[index];
  if (message.epoch > state.epoch || !old) return stale(state);
  const calls = old.tool_calls ?? [];
  const at = calls.findIndex((c) => c.id === message.call.id);
  const tool_calls = at < 0 ? [...calls, message.call] : calls.with(at, message.call);
  return { ...state, messages: state.messages.with(index, { ...old, tool_calls }) };
}

/** `before`: the state in which the request had no answer yet. */
function receiveBranch(state: PanelState, message: BranchMessage, before: PanelState): PanelState {
  if (message.epoch <= state.floor) return state;
  const after = state.messages.findLastIndex((m) => m.turn === message.after);
  if (message.epoch > state.epoch || (message.after !== null && after < 0)) return stale(state);
  const kept = state.messages.slice(0, after + 1);
  // What an undo has said of the message that it takes back holds on.
  const undone = before.asked.some((a) => a.id === message.request && a.type === "undo");
  const notice = undone ? state.notice : null;
  return { ...state, notice, messages: [...kept, ...message.messages] };
}

function receiveSettings(state: PanelState, { settings }: SettingsMessage): PanelState {
  return { ...state, settings, settingsError: null };
}

/** `before`: the state in which the request had no answer yet. */
function receiveError(state: PanelState, message: ErrorMessage, before: PanelState): PanelState {
  const { request, text, retry } = message;
  if (before.asked.some((a) => a.id === request && a.type === "options")) {
    return { ...state, settingsError: message.message };
  }
  const asked = before.asked.find((a) => a.id === request);
  if (asked?.text !== undefined) return giveBackEdit(state, asked, message.message);
  if (text === undefined && before.outbox.some((o) => o.id === request)) {
    return giveBack(state, request ?? "", message.message, retry);
  }
  if (text !== undefined && request !== undefined) {
    // Everybody takes the prompt off the screen; the text goes back only to where it was typed.
    const messages = state.messages.filter((m) => m.request !== request);
    return giveBack({ ...state, messages }, request, message.message, retry);
  }
  if (request !== undefined && request === state.resetting?.id) {
    return requestFailed(state, request, message.message);
  }
  if (message.epoch <= state.floor || state.sync !== "fresh") return state;
  return { ...state, notice: { message: message.message, retry } };
}
