/** Steps that several events share. */
import type { Asked, Held, Kept, PanelState } from "./state";

export function stale(state: PanelState): PanelState {
  return state.sync === "fresh" ? { ...state, sync: "stale" } : state;
}

export function asking(
  state: PanelState,
  id: string,
  type: Asked["type"],
  { text, call }: { text?: string; call?: string } = {},
): PanelState {
  const { epoch } = state;
  const about = { ...(text !== undefined && { text }), ...(call !== undefined && { call }) };
  const asked: Asked = { id, type, late: false, epoch, ...about };
  return { ...state, asked: [...state.asked, asked] };
}

export function answered(state: PanelState, id: string): PanelState {
  return { ...state, asked: state.asked.filter((a) => a.id !== id) };
}

/**
 * A prompt that was not sent to the model returns to the text box with its files, or waits beside it if that is in
 * use.
 */
export function giveBack(
  state: PanelState,
  id: string,
  message: string,
  retry: "send" | "reset" | null = "send",
): PanelState {
  const outgoing = state.outbox.find((o) => o.id === id);
  if (!outgoing) return state;
  const outbox = state.outbox.filter((o) => o !== outgoing);
  return handBack({ ...state, outbox }, { ...outgoing, message }, retry);
}

/** A prompt that was to stand in the place of another returns, too, when it does not. */
export function giveBackEdit(state: PanelState, asked: Asked, message: string): PanelState {
  if (asked.text === undefined) return state;
  return handBack(state, { id: asked.id, text: asked.text, files: [], message }, null);
}

function handBack(
  state: PanelState,
  { id, text, files, message }: Held,
  retry: "send" | "reset" | null,
): PanelState {
  if (state.draft.trim() === "" && state.attached.length === 0) {
    const notice = { message, retry, text, files };
    return { ...state, draft: text, attached: files, notice };
  }
  return { ...state, held: [...state.held, { id, text, files, message }] };
}

/** What is on the screen, to be kept when it goes, in the place of the chat that went so before. */
export function keep({ messages, kept, settings }: PanelState): readonly Kept[] {
  if (messages.length === 0) return kept;
  const { options } = settings;
  return [...kept.filter((k) => k.closed), { messages, options, request: null, saved: false }];
}

/** Everything of `epoch` leaves the screen now, before the kernel has answered. */
export function beginReset(state: PanelState, epoch: number, id: string | null): PanelState {
  return {
    ...state,
    status: "resetting",
    resetting: { id, epoch },
    floor: Math.max(state.floor, epoch),
    messages: [],
  };
}

export function requestFailed(state: PanelState, id: string, message: string): PanelState {
  if (state.resetting?.id !== id) return { ...state, notice: { message, retry: null } };
  return {
    ...state,
    status: "failed",
    resetting: null,
    notice: { message, retry: "reset" },
  };
}
