import { type Kept, type PanelState, type PanelStore, saveObstacle } from "../state";
import { CloseIcon } from "./icons";

/** After a chat was reset or closed: the model has forgotten it, and it can still be saved. Nothing of it is shown. */
export function KeptOffer({
  store,
  state,
  kept,
}: {
  store: PanelStore;
  state: PanelState;
  kept: Kept;
}) {
  if (state.status === "resetting") return null;
  const obstacle = saveObstacle(state, kept);
  const which = kept.closed ? "closed" : "last";
  return (
    <div class="gn-kept">
      <span class="gn-muted" dir="auto">
        {kept.saved ? `The ${which} chat was saved.` : `The model has forgotten the ${which} chat.`}
      </span>
      {!kept.saved && (
        <button
          type="button"
          class="gn-button gn-button-outline"
          aria-disabled={obstacle !== null}
          title={obstacle ?? undefined}
          onClick={() => store.saveKept(kept)}
        >
          Save it
        </button>
      )}
      <button
        type="button"
        class="gn-button gn-button-quiet"
        aria-label="Dismiss"
        title="Forget it here, too"
        onClick={() => store.dismissKept(kept)}
      >
        <CloseIcon />
      </button>
    </div>
  );
}
