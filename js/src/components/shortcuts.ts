import type { PanelStore } from "../state";

/** What the keys do, for the help. */
export function shortcuts(): readonly [keys: string, what: string][] {
  return [
    ["Enter", "Send"],
    ["Shift+Enter", "New line"],
    ["↑ / ↓", "Earlier prompts, in the empty message box"],
    ["Escape", "Stop the reply; close what is open"],
    [keysWith("R"), "Reset chat"],
    [keysWith("G"), "Regenerate the last reply"],
    [keysWith("P"), "Edit the last prompt"],
    [keysWith("Z"), "Undo the last turn"],
  ];
}

/** The combination for a letter, as people call it. */
export function keysWith(letter: string): string {
  return isMac() ? `Ctrl+Option+${letter}` : `Alt+${letter}`;
}

/** The same, as `aria-keyshortcuts` has it. */
export function ariaKeysWith(letter: string): string {
  return isMac() ? `Control+Alt+${letter}` : `Alt+${letter}`;
}

function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform);
}

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
  if (!isForPanel(event)) return;
  const action = actionOf(event.code, store, panel);
  if (!action) return;
  event.preventDefault();
  // A key that is held would take back one turn after the other.
  if (!event.repeat) action();
}

/** What a key does by its place, not its letter: with Alt, a Mac types another one. */
function actionOf(
  code: string,
  store: PanelStore,
  panel: HTMLElement | null,
): (() => void) | undefined {
  switch (code) {
    case "KeyR":
      return () => store.reset();
    case "KeyG":
      return () => {
        const last = store.state.messages.at(-1);
        if (last?.role === "assistant") store.regenerate(last.turn);
      };
    case "KeyP":
      return () => editLast(panel);
    case "KeyZ":
      return () => store.undo();
  }
  return undefined;
}

/** Opens the last prompt, which is not on the page while somebody reads far up. */
function editLast(panel: HTMLElement | null): void {
  const elsewhere = () => panel?.querySelector(".gn-later") ?? null;
  const edit = () => {
    if (elsewhere() !== null) return;
    [...(panel?.querySelectorAll<HTMLElement>(".gn-edit") ?? [])].at(-1)?.click();
  };
  if (elsewhere() === null) {
    edit();
  } else {
    panel?.querySelector<HTMLElement>(".gn-jump")?.click();
    setTimeout(() => requestAnimationFrame(edit), 0);
  }
}

/** On a Mac, Option with a letter types a character: where one can be typed, Control has to be held too. */
function isForPanel({ altKey, ctrlKey, metaKey, shiftKey, target }: KeyboardEvent): boolean {
  if (!altKey || metaKey || shiftKey) return false;
  if (!isMac()) return !ctrlKey;
  return ctrlKey || !isTextField(target);
}

function isTextField(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches("textarea, input:not([type=checkbox])");
}
