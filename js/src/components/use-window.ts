import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const AT_ONCE = 24;
const AT_MOST = 120;
const MANY = 40;
const NEAR_TOP_PX = 300;

/**
 * From which of `total` messages on to show them: a long chat is on the page with its end, and the earlier messages
 * come when somebody scrolls up to them or asks for them. So what is new costs the same after a thousand turns.
 */
export function useWindow(total: number, box: RefObject<HTMLElement | null>, following: boolean) {
  const [first, setFirst] = useState(() => Math.max(0, total - AT_ONCE));
  const known = useRef(total);
  const before = useRef<{ height: number; top: number } | null>(null);

  // Less of the chat than was shown, or much of it at once, as a snapshot has it; or one message after the other came
  // until the beginning can go.
  const less = first > 0 && first > total - 2;
  const atOnce = total - known.current > MANY;
  const tooMuch = following && total > known.current && total - first > AT_MOST;
  known.current = total;
  const shown = less || atOnce || tooMuch ? Math.max(0, total - AT_ONCE) : first;
  if (shown !== first) setFirst(shown);

  const earlier = () => {
    const log = box.current;
    if (!log || shown === 0) return;
    before.current = { height: log.scrollHeight, top: log.scrollTop };
    setFirst(Math.max(0, shown - AT_ONCE));
  };

  // What is read stays where it is, though something grew above it.
  useLayoutEffect(() => {
    const log = box.current;
    const was = before.current;
    before.current = null;
    if (log && was) log.scrollTop = was.top + log.scrollHeight - was.height;
  }, [shown, box]);

  /** To be called when the box was scrolled away from its end. */
  const nearTop = () => {
    const log = box.current;
    if (log && log.scrollTop < NEAR_TOP_PX) earlier();
  };

  return { first: shown, earlier, nearTop };
}
