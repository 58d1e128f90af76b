import { useEffect, useState } from "preact/hooks";

interface Observable<S> {
  readonly state: S;
  subscribe(subscriber: () => void): () => void;
}

/** The store's state, and a new rendering whenever it changes. */
export function useStore<S>(store: Observable<S>): S {
  const [, render] = useState(0);
  useEffect(() => {
    render((n) => n + 1);
    return store.subscribe(() => render((n) => n + 1));
  }, [store]);
  return store.state;
}
