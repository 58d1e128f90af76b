/** Does work when the page has time, one piece after the other: colouring code may wait, scrolling may not. */
type Work = () => void;

const waiting = new Set<Work>();
let asked = false;

/** Returns what takes the work back. */
export function whenIdle(work: Work): () => void {
  waiting.add(work);
  ask();
  return () => waiting.delete(work);
}

function ask() {
  if (asked) return;
  asked = true;
  // Safari has no requestIdleCallback.
  if (typeof requestIdleCallback === "function") requestIdleCallback(run, { timeout: 500 });
  else setTimeout(() => run({ timeRemaining: () => 8 }), 16);
}

function run(deadline: Pick<IdleDeadline, "timeRemaining">) {
  asked = false;
  for (const work of waiting) {
    waiting.delete(work);
    work();
    if (deadline.timeRemaining() < 4) break;
  }
  if (waiting.size > 0) ask();
}
