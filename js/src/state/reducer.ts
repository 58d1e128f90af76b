import type { ChatMessage } from "../protocol";
import type { Attached } from "./files";
import { receive } from "./receive";
import type { Outgoing, PanelEvent, PanelState } from "./state";
import { answered, asking, beginReset, giveBack, giveBackEdit, keep, requestFailed } from "./steps";

/** The panel's whole behaviour as a function: no DOM, no clock, no transport. */
export function reduce(state: PanelState, event: PanelEvent): PanelState {
  switch (event.type) {
    case "received":
      return receive(state, event.message);
    case "drafted":
      return { ...state, draft: event.text };
    case "attached":
      return { ...state, attached: event.files };
    case "sent":
      return sent(state, event.id, event.text, event.files ?? []);
    case "send_failed":
      return giveBack(answered(state, event.id), event.id, event.message);
    case "stop_clicked":
      return { ...asking(state, event.id, "stop"), status: "stopping" };
    case "reset_clicked":
      return resetClicked(state, event.id);
    case "asked":
      return asking({ ...state, settingsError: null }, event.id, event.request, event);
    case "undo_clicked":
      return undoClicked(state, event.id);
    case "kept_save_clicked":
      return asking(
        {
          ...state,
          kept: state.kept.map((k) =>
            k.messages === event.messages ? { ...k, request: event.id } : k,
          ),
        },
        event.id,
        "export",
      );
    case "kept_given":
      return {
        ...state,
        kept: [...state.kept, ...event.kept],
        held: [...state.held, ...(event.held ?? [])],
      };
    case "kept_dismissed":
      return { ...state, kept: state.kept.filter((k) => k.messages !== event.messages) };
    case "noticed":
      return {
        ...state,
        notice: event.message === null ? null : { message: event.message, retry: null },
      };
    case "held_dropped":
      return { ...state, held: state.held.filter((h) => h.id !== event.id) };
    case "lost":
      return lost(state, event.why);
    case "request_failed":
      return failed(state, event.id, event.message);
    case "snapshot_requested":
      return snapshotRequested(state, event.id);
    case "unanswered":
      return {
        ...state,
        asked: state.asked.map((a) => (a.id === event.id ? { ...a, late: true } : a)),
      };
  }
}

function sent(state: PanelState, id: string, text: string, files: readonly Attached[]): PanelState {
  const outgoing: Outgoing = {
    id,
    text,
    files,
    epoch: state.epoch,
    turn: null,
  };
  return {
    ...asking(state, id, "send"),
    outbox: [...state.outbox, outgoing],
    draft: state.draft.trim() === text ? "" : state.draft,
    attached: state.attached === files ? [] : state.attached,
    notice: null,
  };
}

function snapshotRequested(state: PanelState, id: string): PanelState {
  return {
    ...asking(state, id, "snapshot_request"),
    sync: state.sync === "stale" ? "asked" : state.sync,
  };
}

/** What was asked is not waited for; it is asked anew when the kernel turns out to be there. A reply on its way ends here. */
function lost(state: PanelState, why: string | null): PanelState {
  if (why === null) return { ...state, lost: null, asked: [], sync: "stale" };
  const messages = state.messages.map((m): ChatMessage => {
    return m.state === "streaming" ? { ...m, state: "cancelled", finish_reason: "cancelled" } : m;
  });
  return { ...state, lost: why, asked: [], status: "idle", messages };
}

/** The screen is empty at once. What was on it can still be saved, from here: the kernel forgets it. */
function resetClicked(state: PanelState, id: string): PanelState {
  const kept = keep(state);
  return beginReset(asking({ ...state, notice: null, kept }, id, "reset"), state.epoch, id);
}

/** The prompt that is taken back can be written anew; its files are with the kernel alone. */
function undoClicked(state: PanelState, id: string): PanelState {
  const prompt = state.messages.findLast((m) => m.role === "user");
  const draft = state.draft.trim() === "" ? (prompt?.text ?? "") : state.draft;
  const notice = prompt?.files?.length ? { message: FILES_ARE_GONE, retry: null } : null;
  return asking({ ...state, notice, draft }, id, "undo");
}

const FILES_ARE_GONE = "The message had files: attach them again to send it with them.";

function failed(state: PanelState, id: string, message: string): PanelState {
  const asked = state.asked.find((a) => a.id === id);
  const next = answered(state, id);
  return asked?.text === undefined
    ? requestFailed(next, id, message)
    : giveBackEdit(next, asked, message);
}
