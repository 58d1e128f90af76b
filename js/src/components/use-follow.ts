import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const AT_END_PX = 8;

/** Keeps a scrolling element at its end while it grows, unless the user has scrolled up. */
export function useFollow(element: RefObject<HTMLElement | null>) {
  const [following, setFollowing] = useState(true);
  const top = useRef(0);

  useLayoutEffect(() => {
    if (following && element.current) toEnd(element.current);
  });

  const onScroll = () => {
    const box = element.current;
    if (!box) return;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight <= AT_END_PX;
    if (atEnd) setFollowing(true);
    else if (box.scrollTop < top.current) setFollowing(false);
    top.current = box.scrollTop;
  };

  const follow = () => {
    if (element.current) toEnd(element.current);
    setFollowing(true);
  };

  return { following, follow, onScroll };
}

function toEnd(box: HTMLElement): void {
  box.scrollTop = box.scrollHeight;
}
