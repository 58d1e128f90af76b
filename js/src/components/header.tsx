import { type PanelState, type PanelStore, resetObstacle } from "../state";
import { ResetIcon } from "./icons";

export function Header({ store, state }: { store: PanelStore; state: PanelState }) {
  const obstacle = resetObstacle(state);
  return (
    <header class="gn-header">
      <span class="gn-title">{state.model.name}</span>
      <button
        type="button"
        class="gn-button gn-button-outline gn-reset"
        aria-disabled={obstacle !== null}
        data-busy={state.status === "resetting"}
        title={obstacle ?? "Start a new chat and free the model's memory of this one"}
        onClick={() => store.reset()}
      >
        <ResetIcon />
        Reset chat
      </button>
    </header>
  );
}
