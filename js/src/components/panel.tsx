import { useEffect, useRef, useState } from "preact/hooks";
import { isReplying, type PanelHub, sendObstacle } from "../state";
import { Announce, useAnnounced } from "./announce";
import { Composer } from "./composer";
import { Conversation } from "./conversation";
import { focused } from "./focus";
import { Header } from "./header";
import { HoodDrawer } from "./hood-drawer";
import { KeptOffers } from "./kept-offer";
import { SettingsDrawer } from "./settings-drawer";
import { onShortcut } from "./shortcuts";
import { StatusBar } from "./status-bar";
import { TabBar } from "./tab-bar";
import { useCovered } from "./use-covered";
import { useKeptFocus } from "./use-kept-focus";
import { useStore } from "./use-store";

/** What lies over the conversation. */
export type Drawer = "settings" | "hood" | null;

export function Panel({ hub }: { hub: PanelHub }) {
  const tabs = useStore(hub);
  const store = hub.active;
  const state = useStore(store);
  const [drawer, setDrawer] = useState<Drawer>(null);
  const [said, announce] = useAnnounced();
  const panel = useRef<HTMLElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const covered = useCovered(body, drawer !== null);
  const opened = useRef<Element | null>(null);

  useKeptFocus(panel);

  const toggle = (which: Drawer) => {
    if (drawer === null) opened.current = focused();
    setDrawer(which === drawer ? null : which);
  };
  const close = () => {
    setDrawer(null);
    if (opened.current instanceof HTMLElement) opened.current.focus();
  };
  // A reset, and a switch to another chat, show the conversation.
  useEffect(() => setDrawer((d) => (d === "settings" ? null : d)), [state.epoch, tabs.active]);

  return (
    <section
      ref={panel}
      class="gn-panel"
      aria-label="Chat"
      data-lm-suppress-shortcuts="true"
      data-live={hub.live || undefined}
      data-status={state.status}
      data-busy={sendObstacle(state) !== null}
      data-replying={isReplying(state)}
      onKeyDown={(event) => {
        if (event.key === "Escape" && drawer !== null && !event.defaultPrevented) {
          event.preventDefault();
          close();
        } else onShortcut(event, store, panel.current);
      }}
    >
      <Header hub={hub} store={store} state={state} drawer={drawer} toggle={toggle} />
      <Announce.Provider value={announce}>
        {(tabs.tabs.length > 1 || tabs.error !== null) && <TabBar hub={hub} state={tabs} />}
        <div class="gn-body" ref={body}>
          <Conversation key={tabs.active} store={store} state={state} covered={covered} />
          {drawer === "settings" && (
            <SettingsDrawer key={tabs.active} store={store} state={state} close={close} />
          )}
          {drawer === "hood" && <HoodDrawer store={store} state={state} close={close} />}
        </div>
      </Announce.Provider>
      <KeptOffers store={store} state={state} />
      <Composer key={`composer-${tabs.active}`} store={store} state={state} />
      <StatusBar state={state} said={said} interrupt={hub.interrupt} />
    </section>
  );
}
