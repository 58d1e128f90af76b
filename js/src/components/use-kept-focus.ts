import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** When the control that has the focus goes, or is hidden, the focus goes to the text box and not to nowhere. */
export function useKeptFocus(panel: RefObject<HTMLElement | null>): void {
  const last = useRef<Element | null>(null);

  useEffect(() => {
    const note = ({ target }: Event) => {
      last.current = target instanceof Element && panel.current?.contains(target) ? target : null;
    };
    document.addEventListener("focusin", note);
    document.addEventListener("pointerdown", note);
    return () => {
      document.removeEventListener("focusin", note);
      document.removeEventListener("pointerdown", note);
    };
  }, [panel]);

  useLayoutEffect(() => {
    const was = last.current;
    const nowhere = document.activeElement === document.body || document.activeElement === was;
    if (was === null || !nowhere || isThere(was)) return;
    last.current = null;
    panel.current?.querySelector<HTMLElement>(".gn-composer textarea")?.focus();
  });
}

function isThere(element: Element): boolean {
  return element.isConnected && element.checkVisibility({ visibilityProperty: true });
}
