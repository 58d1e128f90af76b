import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const AT_END_PX = 8;

/**
 * Keeps a scrolling element at its end while it grows, unless the user has scrolled up. `followed` is `following` as of
 * now: a rendering may find that the user has scrolled.
 */
export function useFollow(element: RefObject<HTMLElement | null>) {
  const [following, setFollowing] = useState(true);
  const followed = useRef(following);
  followed.current = following;
  const knownTop = useRef(0);

  /** Whether the user scrolled up since the last look: growing moves nothing, shrinking ends at the end. */
  const scrolledUp = (box: HTMLElement): boolean => {
    const up = box.scrollTop < knownTop.current && !isAtEnd(box);
    knownTop.current = box.scrollTop;
    return up;
  };

  const toEnd = (box: HTMLElement) => {
    box.scrollTop = box.scrollHeight;
    knownTop.current = box.scrollTop;
  };

  // A rendering may come between the user's scrolling and the event that tells of it.
  useLayoutEffect(() => {
    const box = element.current;
    if (!box || !following) return;
    if (scrolledUp(box)) {
      followed.current = false;
      setFollowing(false);
    } else toEnd(box);
  });

  // Narrower, the same text is longer, and what comes into sight may be taller than was thought: what was at the
  // end would slip below the edge.
  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return;
    const observer = new ResizeObserver(() => followed.current && toEnd(box));
    observer.observe(box);
    if (box.firstElementChild) observer.observe(box.firstElementChild);
    return () => observer.disconnect();
  }, [element]);

  /** Whether the end is left behind, now that the box was scrolled; not `complete`: its end is not the end of all. */
  const onScroll = (complete: boolean): boolean => {
    const box = element.current;
    if (!box) return false;
    const atEnd = complete && isAtEnd(box);
    if (scrolledUp(box)) setFollowing(false);
    else if (atEnd) setFollowing(true);
    return !atEnd;
  };

  const follow = () => {
    if (element.current) toEnd(element.current);
    setFollowing(true);
  };

  return { following, followed, follow, onScroll };
}

function isAtEnd(box: HTMLElement): boolean {
  return box.scrollHeight - box.scrollTop - box.clientHeight <= AT_END_PX;
}
