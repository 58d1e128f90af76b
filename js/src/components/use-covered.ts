import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";

/** Whether a drawer lies over all of `body`: in a narrow panel, where nothing beneath can be seen or pressed. */
export function useCovered(body: RefObject<HTMLElement | null>, open: boolean): boolean {
  const [covered, setCovered] = useState(false);
  useLayoutEffect(() => {
    const box = body.current;
    const drawer = box?.querySelector<HTMLElement>(".gn-drawer");
    if (!open || !box || !drawer) return;
    const look = () => setCovered(drawer.offsetWidth >= box.clientWidth);
    const observer = new ResizeObserver(look);
    observer.observe(box);
    look();
    return () => {
      observer.disconnect();
      setCovered(false);
    };
  }, [body, open]);
  return covered;
}
