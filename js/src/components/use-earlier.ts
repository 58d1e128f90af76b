import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const AT_ONCE = 24;
const STEP = 8;

/**
 * How many of `total` messages to show: the latest at once, the earlier ones when the browser has nothing to do.
 * So a long chat is there without a long task, and in the end all of it is, to be searched and read aloud.
 */
export function useEarlier(total: number, box: RefObject<HTMLElement | null>): number {
  const [shown, setShown] = useState(AT_ONCE);
  const before = useRef<{ height: number; top: number } | null>(null);

  useEffect(() => {
    if (shown >= total) return;
    return whenIdle(() => {
      const log = box.current;
      if (log) before.current = { height: log.scrollHeight, top: log.scrollTop };
      setShown((n) => n + STEP);
    });
  }, [shown, total, box]);

  // What is read stays where it is, though something grew above it.
  useLayoutEffect(() => {
    const log = box.current;
    const was = before.current;
    before.current = null;
    if (log && was) log.scrollTop = was.top + log.scrollHeight - was.height;
  }, [shown, box]);

  return Math.min(shown, total);
}

function whenIdle(work: () => void): () => void {
  if (typeof requestIdleCallback === "function") {
    const id = requestIdleCallback(work, { timeout: 500 });
    return () => cancelIdleCallback(id);
  }
  const id = setTimeout(work, 50); // Safari
  return () => clearTimeout(id);
}
