import type { ChatMessage, PanelMessage } from "../protocol";
import type { Kept, PanelState } from "./state";

/** What the status line says, and a screen reader with it. */
export function describeStatus(state: PanelState): string {
  if (state.lost !== null) return state.lost;
  if (!state.ready) return "Connecting to the kernel…";
  const late = state.asked.find((a) => a.late);
  if (late) return `The kernel is busy with a cell: ${waits(late.type)} when it ends.`;
  switch (state.status) {
    case "resetting":
      return "Resetting chat…";
    case "restoring":
      return "Bringing the model to this point…";
    case "queued":
      return "Waiting for the model…";
    case "generating":
      return asksFor(state) ?? "Generating…";
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

/**
 * A cell keeps the kernel from answering. That it is the cell, only a kernel that has answered before lets us say: the
 * panel of a saved notebook has none behind it, and there the cell that runs is another.
 */
export function isHeldUp({ ready, lost, asked }: PanelState): boolean {
  return ready && lost === null && asked.some((a) => a.late);
}

/** What the model wants to be allowed; null when it asks for nothing. */
export function asksFor({ messages }: PanelState): string | null {
  const call = messages.at(-1)?.tool_calls?.find((c) => c.state === "asking");
  return call ? `The model asks whether it may call ${call.name}.` : null;
}

function waits(type: PanelMessage["type"]): string {
  if (type === "stop") return "Stop will reach the model";
  if (type === "reset") return "the reset will reach the model";
  return "it will get to this";
}

function describeLast(last: ChatMessage | undefined): string {
  if (last?.role !== "assistant") return "Ready";
  if (last.state === "cancelled") return "Stopped";
  if (last.state === "error") return "The reply failed";
  return "Reply complete";
}

/** A reply is on its way, or is being stopped. */
export function isReplying({ status }: Pick<PanelState, "status">): boolean {
  return status === "queued" || status === "generating" || status === "stopping";
}

/** Something is on its way that the kernel will tell the end of. */
export function isBusy({ status }: Pick<PanelState, "status">): boolean {
  return isReplying({ status }) || status === "resetting" || status === "restoring";
}

const GOING_BACK = new Set<PanelMessage["type"]>(["regenerate", "edit", "undo", "switch"]);

/** Why a message cannot be sent now; null when it can. */
export function sendObstacle(state: PanelState): string | null {
  if (state.lost !== null) return state.lost;
  if (!state.ready) return "The panel is not connected to the kernel yet.";
  if (state.status === "resetting") return "The chat is being reset.";
  if (state.status === "failed") return "The last reset failed: reset the chat first.";
  if (state.status === "closed") return "This chat is closed.";
  if (isReplying(state) || state.outbox.length > 0) return "Wait for the reply, or stop it.";
  if (state.status === "restoring" || state.asked.some((a) => GOING_BACK.has(a.type))) {
    return "Wait until the model is at this point.";
  }
  return null;
}

/** Why the chat cannot be reset now; null when it can. */
export function resetObstacle(state: PanelState): string | null {
  if (state.lost !== null) return state.lost;
  if (!state.ready) return "The panel is not connected to the kernel yet.";
  if (state.status === "resetting") return "The chat is being reset.";
  if (state.status === "closed") return "This chat is closed.";
  return null;
}

/** Why a chat that was reset or closed cannot be saved now; null when it can. */
export function saveObstacle({ lost, asked }: PanelState, { request }: Kept): string | null {
  if (lost !== null) return lost;
  return asked.some((a) => a.id === request) ? "Its file is on the way." : null;
}

/** Why a call that asks cannot be decided now; null when it can. */
export function decisionObstacle({ lost, asked }: PanelState, call: string): string | null {
  if (lost !== null) return lost;
  return asked.some((a) => a.call === call) ? "Your answer is on its way." : null;
}

type Remembered = Pick<PanelState, "messages" | "context">;

/** How many of the first messages the model has forgotten to make room. */
export function forgotten({ messages, context }: Remembered): number {
  let turns = context.forgotten_turns ?? 0;
  const end = messages.findIndex((m) => m.role === "user" && turns-- <= 0);
  return end < 0 ? 0 : end;
}

/** The prompt of the turn that the model will forget first when the context is full. */
export function nextForgotten(state: Remembered): string | null {
  return state.messages[forgotten(state)]?.text ?? null;
}
