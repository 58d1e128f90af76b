import { useContext, useEffect, useRef } from "preact/hooks";
import { asksFor, type HubState, isReplying, type PanelHub, type PanelStore } from "../state";
import { Announce } from "./announce";
import { CloseIcon, PlusIcon } from "./icons";
import { Notice } from "./notice";
import { useStore } from "./use-store";

/** The panel's chats. Arrow keys go from one to the next, Delete closes one. */
export function TabBar({ hub, state }: { hub: PanelHub; state: HubState }) {
  const list = useRef<HTMLDivElement>(null);
  const focusActive = () =>
    requestAnimationFrame(() =>
      list.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus(),
    );
  const onKeyDown = (event: KeyboardEvent) => {
    const at = state.tabs.findIndex((tab) => tab.id === state.active);
    const rtl = getComputedStyle(event.currentTarget as Element).direction === "rtl";
    const steps: Record<string, number> = { ArrowRight: rtl ? -1 : 1, ArrowLeft: rtl ? 1 : -1 };
    const step = steps[event.key];
    if (step !== undefined) {
      const next = state.tabs[(at + step + state.tabs.length) % state.tabs.length];
      if (next) hub.show(next.id);
    } else if (event.key === "Delete") {
      if (!event.repeat) hub.closeChat(state.active);
    } else return;
    event.preventDefault();
    focusActive();
  };
  return (
    <div class="gn-tab-bar">
      {state.tabs.length > 1 && (
        <div class="gn-tab-row">
          <div ref={list} class="gn-tabs" role="tablist" aria-label="Chats" onKeyDown={onKeyDown}>
            {state.tabs.map((tab) => (
              <TabOf
                key={tab.id}
                store={hub.store(tab.id)}
                name={tab.name}
                selected={tab.id === state.active}
                show={() => hub.show(tab.id)}
              />
            ))}
          </div>
          <button
            type="button"
            class="gn-button gn-button-quiet"
            aria-label="Close tab"
            title="Close this chat and free its memory (Delete)"
            onClick={() => hub.closeChat(state.active)}
          >
            <CloseIcon />
          </button>
          <button
            type="button"
            class="gn-button gn-button-quiet"
            aria-label="New tab"
            aria-disabled={state.opening}
            title="Another chat beside these"
            onClick={() => hub.openChat()}
          >
            <PlusIcon />
          </button>
        </div>
      )}
      {state.error !== null && (
        <Notice message={state.error} onRetry={null} onDismiss={() => hub.dismissError()} />
      )}
    </div>
  );
}

interface TabProps {
  store: PanelStore;
  name: string;
  selected: boolean;
  show: () => void;
}

function TabOf({ store, name, selected, show }: TabProps) {
  const state = useStore(store);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (selected) button.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [selected]);
  const first = state.messages.find((m) => m.role === "user")?.text;
  const title = first === undefined ? name : `${name}: ${first}`;
  // In the tab that is shown the question itself is.
  const question = selected ? null : asksFor(state);
  const announce = useContext(Announce);
  useEffect(() => {
    if (question !== null) announce(`${name}: ${question}`);
  }, [question]);
  return (
    <button
      ref={button}
      type="button"
      role="tab"
      class="gn-button gn-tab"
      aria-selected={selected}
      tabIndex={selected ? 0 : -1}
      data-replying={isReplying(state)}
      title={question === null ? title : `${title}\n${question}`}
      onClick={show}
    >
      <span class="gn-tab-name" dir="auto">
        {first ?? name}
      </span>
      {question !== null && (
        <span class="gn-tab-asks" role="img" aria-label="asks for permission">
          ?
        </span>
      )}
    </button>
  );
}
