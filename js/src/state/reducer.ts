import type {
  ChatMessage,
  DeltaMessage,
  ErrorMessage,
  KernelMessage,
  SnapshotMessage,
  StateMessage,
  TurnMessage,
} from "../protocol";
import type { Asked, Outgoing, PanelEvent, PanelState } from "./state";

/** The panel's whole behaviour as a function: no DOM, no clock, no transport. */
export function reduce(state: PanelState, event: PanelEvent): PanelState {
  switch (event.type) {
    case "received":
      return receive(state, event.message);
    case "drafted":
      return { ...state, draft: event.text };
    case "sent":
      return sent(state, event.id, event.text);
    case "send_failed":
      return giveBack(answered(state, event.id), event.id, event.message);
    case "stop_clicked":
      return { ...asking(state, event.id, "stop"), status: "stopping" };
    case "reset_clicked":
      return beginReset(
        asking({ ...state, notice: null }, event.id, "reset"),
        state.epoch,
        event.id,
      );
    case "request_failed":
      return requestFailed(answered(state, event.id), event.id, event.message);
    case "snapshot_requested":
      return snapshotRequested(state, event.id);
    case "unanswered":
      return {
        ...state,
        asked: state.asked.map((a) => (a.id === event.id ? { ...a, late: true } : a)),
      };
  }
}

// What the user does

function sent(state: PanelState, id: string, text: string): PanelState {
  const outgoing: Outgoing = {
    id,
    text,
    epoch: state.epoch,
    turn: null,
    beforeSnapshotRequest: false,
  };
  return {
    ...asking(state, id, "send"),
    outbox: [...state.outbox, outgoing],
    draft: state.draft.trim() === text ? "" : state.draft,
    notice: null,
  };
}

/** Everything of `epoch` leaves the screen now, before the kernel has answered. */
function beginReset(state: PanelState, epoch: number, id: string | null): PanelState {
  return {
    ...state,
    status: "resetting",
    resetting: { id, epoch },
    floor: Math.max(state.floor, epoch),
    messages: [],
  };
}

function snapshotRequested(state: PanelState, id: string): PanelState {
  return {
    ...asking(state, id, "snapshot_request"),
    sync: "asked",
    outbox: state.outbox.map((o) => ({ ...o, beforeSnapshotRequest: true })),
  };
}

function requestFailed(state: PanelState, id: string, message: string): PanelState {
  if (state.resetting?.id !== id) return { ...state, notice: { message, retry: null } };
  return {
    ...state,
    status: "failed",
    resetting: null,
    notice: { message, retry: "reset" },
  };
}

// What the kernel says

function receive(state: PanelState, message: KernelMessage): PanelState {
  if (message.type === "snapshot") return receiveSnapshot(state, message);
  if (!state.ready || message.seq <= state.seq) return state;
  const missedOne = message.seq !== state.seq + 1;
  const next = settle({ ...state, seq: message.seq }, message);
  if (message.type === "error") return receiveError(missedOne ? stale(next) : next, message);
  if (missedOne) return stale(next);
  if (next.sync !== "fresh") return next;
  switch (message.type) {
    case "state":
      return receiveState(next, message);
    case "turn":
      return receiveTurn(next, message);
    case "delta":
      return receiveDelta(next, message);
  }
}

/** Books what a message says about this front end's own requests: true whatever the epoch. */
function settle(state: PanelState, message: Exclude<KernelMessage, SnapshotMessage>): PanelState {
  if (message.type === "delta" || message.request === undefined) return state;
  const { request } = message;
  const next = answered(state, request);
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
    asked: state.asked.filter((a) => a.type !== "snapshot_request"),
  };
  if (message.epoch <= state.floor) return booked;
  const known = new Set(message.messages.map((m) => m.request));
  const lost = booked.outbox.filter(
    (o) => o.turn === null && o.beforeSnapshotRequest && !known.has(o.id),
  );
  const shown: PanelState = {
    ...booked,
    epoch: message.epoch,
    floor: message.epoch - 1,
    status: message.status,
    resetting: null,
    model: message.model,
    messages: message.messages,
    context: message.context,
    handles: message.handles,
    handle: message.handle,
    outbox: booked.outbox.filter((o) => !known.has(o.id)),
    notice: message.error
      ? { message: message.error.message, retry: message.error.remedy }
      : state.notice?.text === undefined
        ? null
        : state.notice,
  };
  const settled = message.status === "resetting" ? beginReset(shown, message.epoch, null) : shown;
  return lost.reduce(
    (s, o) => giveBack(s, o.id, "This message did not reach the model. Send it again."),
    settled,
  );
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
    return {
      ...shown,
      epoch: message.epoch,
      floor: message.epoch - 1,
      resetting: null,
      messages: [],
    };
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
  if (
    message.epoch > state.epoch ||
    old?.state !== "streaming" ||
    old.text.length !== message.offset
  ) {
    return stale(state);
  }
  return {
    ...state,
    messages: state.messages.with(index, { ...old, text: old.text + message.text }),
  };
}

function receiveError(state: PanelState, message: ErrorMessage): PanelState {
  const { request, text, retry } = message;
  if (text !== undefined && request !== undefined) {
    // Everybody takes the prompt off the screen; the text goes back only to where it was typed.
    const messages = state.messages.filter((m) => m.request !== request);
    return giveBack({ ...state, messages }, request, message.message, retry);
  }
  if (request !== undefined && request === state.resetting?.id) {
    return requestFailed(state, request, message.message);
  }
  if (message.epoch <= state.floor || state.sync !== "fresh") return state;
  const index = state.messages.findIndex((m) => m.turn === message.turn);
  const old = state.messages[index];
  if (!old) return { ...state, notice: { message: message.message, retry } };
  const error = { kind: message.kind, message: message.message, retry };
  return { ...state, messages: state.messages.with(index, { ...old, state: "error", error }) };
}

// Steps that several events share

function stale(state: PanelState): PanelState {
  return state.sync === "fresh" ? { ...state, sync: "stale" } : state;
}

function asking(state: PanelState, id: string, type: Asked["type"]): PanelState {
  return { ...state, asked: [...state.asked, { id, type, late: false }] };
}

function answered(state: PanelState, id: string): PanelState {
  return { ...state, asked: state.asked.filter((a) => a.id !== id) };
}

/** A prompt that was not sent to the model returns to the text box, or waits in the notice if that is in use. */
function giveBack(
  state: PanelState,
  id: string,
  message: string,
  retry: "send" | "reset" | null = "send",
): PanelState {
  const outgoing = state.outbox.find((o) => o.id === id);
  if (!outgoing) return state;
  return {
    ...state,
    outbox: state.outbox.filter((o) => o !== outgoing),
    draft: state.draft.trim() === "" ? outgoing.text : state.draft,
    notice: { message, retry, text: outgoing.text },
  };
}
