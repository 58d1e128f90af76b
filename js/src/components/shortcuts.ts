import type { PanelStore } from "../state";

/** What the keys do; the help shows this list. */
export const SHORTCUTS: readonly [keys: string, what: string][] = [
  ["Enter", "Send"],
  ["Shift+Enter", "New line"],
  ["↑ / ↓", "Earlier prompts, in the empty message box"],
  ["Escape", "Stop the reply; close what is open"],
  ["Alt+R", "Reset chat"],
  ["Alt+G", "Regenerate the last reply"],
  ["Alt+P", "Edit the last prompt"],
  ["Alt+Z", "Undo the last turn"],
];

/** Does what a key combination in the panel is for. */
export function onShortcut(
  event: KeyboardEvent,
  store: PanelStore,
  panel: HTMLElement | null,
): void {
  if (event.defaultPrevented || event.isComposing) return;
  if (event.key === "Escape" && !event.altKey) {
    store.stop();
    return;
  }
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  // The key's place, not its letter: with Alt, a Mac types another one.
  switch (event.code) {
    case "KeyR":
      store.reset();
      break;
    case "KeyG": {
      const last = store.state.messages.at(-1);
      if (last?.role === "assistant") store.regenerate(last.turn);
      break;
    }
    case "KeyP":
      [...(panel?.querySelectorAll<HTMLElement>(".gn-edit") ?? [])].at(-1)?.click();
      break;
    case "KeyZ":
      store.undo();
      break;
    default:
      return;
  }
  event.preventDefault();
}
