import { type PanelHub, type PanelState, type PanelStore, resetObstacle } from "../state";
import { ExportMenu } from "./export-menu";
import { HelpMenu } from "./help-menu";
import { GearIcon, HoodIcon, PlusIcon, ResetIcon } from "./icons";
import type { Drawer } from "./panel";
import { ariaKeysWith, keysWith } from "./shortcuts";

interface Props {
  hub: PanelHub;
  store: PanelStore;
  state: PanelState;
  drawer: Drawer;
  toggle: (which: Drawer) => void;
}

export function Header({ hub, store, state, drawer, toggle }: Props) {
  const obstacle = resetObstacle(state);
  const { tabs, opening } = hub.state;
  return (
    <header class="gn-header">
      <span class="gn-title" title={state.model.name}>
        {state.model.name}
      </span>
      <div class="gn-tools">
        {tabs.length === 1 && (
          <button
            type="button"
            class="gn-button gn-button-quiet"
            aria-label="New tab"
            aria-disabled={opening || state.lost !== null}
            title="Another chat beside this one"
            onClick={() => hub.openChat()}
          >
            <PlusIcon />
          </button>
        )}
        <button
          type="button"
          class="gn-button gn-button-quiet"
          aria-label="Under the hood"
          aria-expanded={drawer === "hood"}
          title="Under the hood: the model's conversation handles"
          onClick={() => toggle("hood")}
        >
          <HoodIcon />
        </button>
        <button
          type="button"
          class="gn-button gn-button-quiet"
          aria-label="Settings"
          aria-expanded={drawer === "settings"}
          title="Settings"
          data-changed={state.settings.pending !== null}
          onClick={() => toggle("settings")}
        >
          <GearIcon />
        </button>
        <ExportMenu store={store} state={state} />
        <HelpMenu />
      </div>
      <button
        type="button"
        class="gn-button gn-button-outline gn-reset"
        aria-disabled={obstacle !== null}
        aria-keyshortcuts={ariaKeysWith("R")}
        data-busy={state.status === "resetting"}
        title={
          obstacle ?? `Start a new chat and free the model's memory of this one (${keysWith("R")})`
        }
        onClick={() => store.reset()}
      >
        <ResetIcon />
        Reset chat
      </button>
    </header>
  );
}
