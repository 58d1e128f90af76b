import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { focused, listenAround } from "./focus";

/** When the control that has the focus goes, or is hidden, the focus goes to the text box and not to nowhere. */
export function useKeptFocus(panel: RefObject<HTMLElement | null>): void {
  const last = useRef<Element | null>(null);

  useEffect(() => {
    const here = panel.current;
    if (!here) return;
    const note = (event: Event) => {
      const [target] = event.composedPath();
      last.current = target instanceof Element && here.contains(target) ? target : null;
    };
    const ends = ["focusin", "pointerdown"].map((type) => listenAround(here, type, note));
    return () => {
      for (const end of ends) end();
    };
  }, [panel]);

  useLayoutEffect(() => {
    const was = last.current;
    const now = focused();
    const nowhere = now === document.body || now === was;
    if (was === null || !nowhere || isThere(was)) return;
    last.current = null;
    panel.current?.querySelector<HTMLElement>(".gn-composer textarea")?.focus();
  });
}

function isThere(element: Element): boolean {
  return element.isConnected && element.checkVisibility({ visibilityProperty: true });
}
