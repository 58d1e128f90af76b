import { useEffect, useState } from "preact/hooks";
import type { PanelState, PanelStore } from "../state";

/** The store's state, and a new rendering whenever it changes. */
export function useStore(store: PanelStore): PanelState {
  const [state, setState] = useState(store.state);
  useEffect(() => {
    setState(store.state);
    return store.subscribe(() => setState(store.state));
  }, [store]);
  return state;
}
