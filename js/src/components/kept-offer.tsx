import { type Kept, type PanelState, type PanelStore, saveObstacle } from "../state";
import { beginning } from "./beginning";
import { CloseIcon } from "./icons";

interface Props {
  store: PanelStore;
  state: PanelState;
}

/** Many scroll: the text box below them keeps its place. */
export function KeptOffers({ store, state }: Props) {
  if (state.status === "resetting" || state.kept.length === 0) return null;
  return (
    <div class="gn-keeps">
      {state.kept.map((kept, i) => (
        <KeptOffer key={i} store={store} state={state} kept={kept} />
      ))}
    </div>
  );
}

/**
 * After a chat was reset or closed: the model has forgotten it, and it can still be saved. Nothing of one that was reset
 * is shown; of several that were closed, each is known by its first prompt, as in its tab.
 */
function KeptOffer({ store, state, kept }: Props & { kept: Kept }) {
  const obstacle = saveObstacle(state, kept);
  const name = kept.name === undefined ? "" : ` “${beginning(kept.name)}”`;
  const chat = `${kept.closed ? "closed" : "last"} chat${name}`;
  return (
    <div class="gn-kept">
      <span class="gn-muted" dir="auto">
        {kept.saved ? `The ${chat} was saved.` : `The model has forgotten the ${chat}.`}
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
