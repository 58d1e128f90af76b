import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const AT_END_PX = 8;

/**
 * Keeps a scrolling element at its end while it grows, unless the user has scrolled up. `followed` is `following` as of
 * now: a rendering may find that the user has scrolled. While it is not `complete`, its end is not the end of all.
 */
export function useFollow(element: RefObject<HTMLElement | null>, complete: RefObject<boolean>) {
  const [following, setFollowing] = useState(true);
  const followed = useRef(following);
  followed.current = following;
  const known = useRef({ top: 0, height: 0 });

  const look = (box: HTMLElement) => {
    known.current = { top: box.scrollTop, height: box.scrollHeight };
  };

  /**
   * Whether the user scrolled up since the last look. Growing moves nothing, and shrinking ends at the end; a box that
   * grew before its content did was moved to where the content ended then.
   */
  const scrolledUp = (box: HTMLElement): boolean => {
    const { top, height } = known.current;
    const moved = box.scrollTop < Math.min(top, height - box.clientHeight) - 1;
    look(box);
    return moved && !isAtEnd(box);
  };

  const toEnd = (box: HTMLElement) => {
    box.scrollTop = box.scrollHeight;
    look(box);
  };

  const follow = () => {
    if (element.current) toEnd(element.current);
    setFollowing(true);
  };

  const isAtLast = (box: HTMLElement) => complete.current && isAtEnd(box);

  // A rendering may come between the user's scrolling and the event that tells of it. No event tells of a chat that
  // became so short that its end is in sight.
  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return;
    if (!following) {
      if (isAtLast(box)) follow();
    } else if (scrolledUp(box)) {
      followed.current = false;
      setFollowing(false);
    } else toEnd(box);
  });

  // Narrower, the same text is longer, and what comes into sight may be taller than was thought: what was at the
  // end would slip below the edge.
  useLayoutEffect(() => {
    const box = element.current;
    if (!box) return;
    const observer = new ResizeObserver(() => {
      // Of the user's scrolling the page has told by then.
      if (followed.current) toEnd(box);
      else if (isAtLast(box)) follow();
    });
    observer.observe(box);
    if (box.firstElementChild) observer.observe(box.firstElementChild);
    return () => observer.disconnect();
  }, [element]);

  /** Whether the end is left behind, now that the box was scrolled. */
  const onScroll = (): boolean => {
    const box = element.current;
    if (!box) return false;
    const atLast = isAtLast(box);
    if (scrolledUp(box)) setFollowing(false);
    else if (atLast) setFollowing(true);
    return !atLast;
  };

  return { following, followed, follow, onScroll };
}

function isAtEnd(box: HTMLElement): boolean {
  return box.scrollHeight - box.scrollTop - box.clientHeight <= AT_END_PX;
}
