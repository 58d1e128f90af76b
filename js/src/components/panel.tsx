import type { PanelStore } from "../state";
import { Composer } from "./composer";
import { Conversation } from "./conversation";
import { Header } from "./header";
import { StatusBar } from "./status-bar";
import { useStore } from "./use-store";

export function Panel({ store }: { store: PanelStore }) {
  const state = useStore(store);
  return (
    <section
      class="gn-panel"
      aria-label="Chat"
      data-lm-suppress-shortcuts="true"
      data-status={state.status}
    >
      <Header store={store} state={state} />
      <Conversation store={store} state={state} />
      <Composer store={store} state={state} />
      <StatusBar state={state} />
    </section>
  );
}
