import { createContext } from "preact";
import { useEffect, useState } from "preact/hooks";

/** How long it stands in the place of the status. */
const SHOWN_MS = 1600;

/** Says something in the status line, for those too who do not see what a button became. */
export const Announce = createContext<(words: string) => void>(() => {});

/** What was said just now, and what says something. */
export function useAnnounced(): [said: string | null, announce: (words: string) => void] {
  const [said, setSaid] = useState<string | null>(null);
  useEffect(() => {
    if (said === null) return;
    const timer = setTimeout(() => setSaid(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return [said, setSaid];
}
