import type { ChatMessage } from "../protocol";
import type { PanelState } from "./state";

/** What the status line says, and a screen reader with it. */
export function describeStatus(state: PanelState): string {
  if (state.asked.some((a) => a.late)) {
    return "The kernel is busy with a cell. It will get to this when the cell ends.";
  }
  if (!state.ready) return "Connecting to the kernel…";
  switch (state.status) {
    case "resetting":
      return "Resetting chat…";
    case "queued":
      return "Waiting for the model…";
    case "generating":
      return "Generating…";
    case "stopping":
      return "Stopping…";
    case "failed":
      return "The chat could not be reset.";
    case "closed":
      return "This chat is closed.";
    case "idle":
      return state.outbox.length > 0 ? "Sending…" : describeLast(state.messages.at(-1));
  }
}

function describeLast(last: ChatMessage | undefined): string {
  if (last?.role !== "assistant") return "Ready";
  if (last.state === "cancelled") return "Stopped";
  if (last.state === "error") return "The reply failed";
  return "Reply complete";
}

/** A reply is on its way, or is being stopped. */
export function isReplying({ status }: PanelState): boolean {
  return status === "queued" || status === "generating" || status === "stopping";
}

/** Why a message cannot be sent now; null when it can. */
export function sendObstacle(state: PanelState): string | null {
  if (!state.ready) return "The panel is not connected to the kernel yet.";
  if (state.status === "resetting") return "The chat is being reset.";
  if (state.status === "failed") return "The last reset failed: reset the chat first.";
  if (state.status === "closed") return "This chat is closed.";
  if (isReplying(state) || state.outbox.length > 0) return "Wait for the reply, or stop it.";
  return null;
}

/** Why the chat cannot be reset now; null when it can. */
export function resetObstacle(state: PanelState): string | null {
  if (!state.ready) return "The panel is not connected to the kernel yet.";
  if (state.status === "resetting") return "The chat is being reset.";
  if (state.status === "closed") return "This chat is closed.";
  return null;
}

/** The prompt that `reply` answers. */
export function promptOf(state: PanelState, reply: ChatMessage): string | null {
  const before = state.messages.slice(0, state.messages.indexOf(reply));
  return before.findLast((m) => m.role === "user")?.text ?? null;
}
