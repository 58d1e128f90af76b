import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const AT_ONCE = 24;
const AT_MOST = 60;
/** More than a turn brings. */
const MANY = 6;
/** How many are rendered in one task: of rich replies a few already take some ten milliseconds. */
const STEP = 2;
const NEAR_PX = 300;

/**
 * Which of `total` messages to show: a long chat is on the page with its end, and others come when somebody scrolls
 * to them or asks for them, while those at the other end go. So all costs the same after a thousand turns. What
 * comes, comes a few messages at a time, so that the page answers in between.
 */
export function useWindow(
  total: number,
  box: RefObject<HTMLElement | null>,
  following: boolean,
  followed: RefObject<boolean>,
) {
  // Without an `end` they are shown up to the last.
  const [range, setRange] = useState<Range>(() => ({
    first: Math.max(0, total - STEP),
    end: null,
  }));
  const goal = useRef(endOf(total));
  const known = useRef(total);
  const before = useRef<{ height: number; top: number } | null>(null);

  const focused = box.current !== null && isFocusIn(box.current);
  let { first, end } = range;
  if (end !== null && (end >= total || following)) end = null;
  let last = end ?? total;
  // Less of the chat than was shown, or much of it at once, as a snapshot has it; or one message after the other came
  // until the beginning can go.
  const less = first > 0 && first > last - 2;
  const left = range.end !== null && following && total - first > AT_MOST;
  const atOnce = total - known.current > MANY;
  const tooMuch = following && total > known.current && total - first > AT_MOST;
  if (less || left || (following && (atOnce || tooMuch))) {
    goal.current = endOf(total);
    first = tooMuch && !atOnce ? goal.current.first : Math.max(0, total - STEP);
    [end, last] = [null, total];
  } else if (atOnce && end === null) {
    end = last = goal.current.end = known.current;
  }
  known.current = total;
  if (first !== range.first || end !== range.end) setRange({ first, end });

  /** Goes a step towards what shall be shown. */
  const step = () => {
    const log = box.current;
    if (!log) return;
    const wanted = goal.current;
    // What comes above and what goes below are two steps: the first moves what is read, and is made up for.
    const full = last - first > AT_MOST && !following;
    if (first > wanted.first && full) {
      wanted.end = first + AT_MOST;
      setRange({ first, end: wanted.end });
    } else if (first > wanted.first) {
      before.current = { height: log.scrollHeight, top: log.scrollTop };
      setRange({ first: Math.max(wanted.first, first - STEP), end });
    } else if (last < Math.min(wanted.end, total) && last - first < AT_MOST + AT_ONCE) {
      setRange({ first, end: Math.min(last + STEP, wanted.end) });
    } else if (last < Math.min(wanted.end, total)) {
      before.current = { height: log.scrollHeight, top: log.scrollTop };
      wanted.first = first + AT_ONCE;
      setRange({ first: wanted.first, end });
    }
  };

  const earlier = () => {
    goal.current = { first: Math.max(0, first - AT_ONCE), end: last };
    step();
  };

  const later = () => {
    goal.current = { first, end: last + AT_ONCE };
    step();
  };

  /** Shows the end again, whatever was shown. */
  const latest = () => {
    if (last === total) return;
    goal.current = endOf(total);
    setRange({ first: Math.max(0, total - STEP), end: null });
  };

  // What is read stays where it is, though above it something came or went; who follows the end was taken there just now
  // (`useFollow`), where it may have been out of sight since the box became smaller.
  useLayoutEffect(() => {
    const log = box.current;
    const was = before.current;
    before.current = null;
    if (log && was && !followed.current) log.scrollTop = was.top + log.scrollHeight - was.height;
  });

  // Who had the focus in a message that went can go on with the keys that scroll.
  useLayoutEffect(() => {
    if (focused && box.current && !isFocusIn(box.current)) {
      box.current.focus({ preventScroll: true });
    }
  }, [first, last]);

  const latestStep = useRef(step);
  latestStep.current = step;
  useEffect(() => {
    const timer = setTimeout(() => latestStep.current(), 0);
    return () => clearTimeout(timer);
  }, [first, last]);

  /** To be called when the box was scrolled away from its end. */
  const onScroll = () => {
    const log = box.current;
    if (!log) return;
    if (log.scrollTop < NEAR_PX && first > 0) {
      earlier();
    } else if (last < total && log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX) {
      later();
    }
  };

  return { first, last, earlier, later, latest, onScroll };
}

/** What of a chat is shown to who follows its end. */
function endOf(total: number) {
  return { first: Math.max(0, total - AT_ONCE), end: total };
}

/** Whether something in the element has the focus. */
function isFocusIn(element: HTMLElement): boolean {
  const { activeElement } = element.getRootNode() as Document | ShadowRoot;
  return activeElement !== element && element.contains(activeElement);
}

interface Range {
  first: number;
  end: number | null;
}
