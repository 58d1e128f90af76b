import { useRef } from "preact/hooks";
import type { PanelState, PanelStore } from "../state";
import { isComposing } from "./keys";

/** ↑ in the empty text box brings the last prompt back, again an earlier one; ↓ goes the other way. */
export function useRecall(store: PanelStore, state: PanelState) {
  const place = useRef<{ back: number; text: string }>({ back: 0, text: "" });
  return (event: KeyboardEvent): void => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (step === undefined || isComposing(event) || event.shiftKey || event.altKey) return;
    if (state.draft !== place.current.text) place.current = { back: 0, text: "" };
    if (state.draft !== place.current.text) return; // something of the user's own is there
    const prompts = state.messages.filter((m) => m.role === "user").map((m) => m.text);
    const back = place.current.back + step;
    if (back < 0 || back > prompts.length) return;
    event.preventDefault();
    const text = back === 0 ? "" : (prompts.at(-back) ?? "");
    place.current = { back, text };
    store.draft(text);
  };
}
