import { useLayoutEffect, useRef } from "preact/hooks";
import { Gradually } from "../markdown";
import { fileInfos, forgotten, type PanelState, type PanelStore, sendObstacle } from "../state";
import { beginning } from "./beginning";
import { DownIcon } from "./icons";
import { Message } from "./message";
import { Notice } from "./notice";
import { Prompt } from "./prompt";
import { useFollow } from "./use-follow";
import { useWindow } from "./use-window";
import { Welcome } from "./welcome";

interface Props {
  store: PanelStore;
  state: PanelState;
  /** Something lies over it, and it cannot be used. */
  covered?: boolean;
}

export function Conversation({ store, state, covered = false }: Props) {
  const log = useRef<HTMLDivElement>(null);
  const { messages } = state;
  const { held: oldHeld, notice: oldNotice } = useRef(state).current;
  const complete = useRef(true);
  const { following, followed, follow, onScroll } = useFollow(log, complete);
  const shown = useWindow(messages.length, log, following, followed);
  complete.current = shown.last === messages.length;
  const followLatest = () => {
    shown.latest();
    follow();
  };
  const unsent = state.outbox.filter((o) => o.turn === null && o.epoch > state.floor);

  // Whoever sends a message, has one answered anew, or resets, wants to see what comes of it.
  const newest = unsent.at(-1)?.id;
  useLayoutEffect(() => {
    if (newest !== undefined) followLatest();
  }, [newest]);
  const anew = state.asked.find((a) => a.type === "edit" || a.type === "regenerate")?.id;
  const wasAnew = useRef(anew);
  useLayoutEffect(() => {
    // Not before the kernel has it: what is there until then goes.
    if (wasAnew.current !== undefined && anew === undefined) followLatest();
    wasAnew.current = anew;
  }, [anew]);
  useLayoutEffect(followLatest, [state.epoch]);

  return (
    <div class="gn-conversation" inert={covered}>
      <div
        class="gn-log"
        role="log"
        aria-label="Conversation"
        aria-live="off"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        ref={log}
        onScroll={() => {
          if (onScroll()) shown.onScroll();
        }}
      >
        <div class="gn-said">
          {messages.length + unsent.length === 0 && <Welcome store={store} state={state} />}
          {shown.first > 0 && (
            <button type="button" class="gn-button gn-earlier" onClick={shown.earlier}>
              {shown.first} earlier messages
            </button>
          )}
          <Gradually.Provider value={followed}>
            <Messages store={store} state={state} first={shown.first} last={shown.last} />
          </Gradually.Provider>
          {!complete.current && (
            <button type="button" class="gn-button gn-later" onClick={shown.later}>
              {messages.length - shown.last} later messages
            </button>
          )}
          {unsent.map((o) => (
            <Prompt key={o.id} text={o.text} files={fileInfos(o.files)} />
          ))}
          {state.held.map((held) => (
            <Notice
              key={held.id}
              message={`${held.message} “${beginning(held.text)}”`}
              old={oldHeld.includes(held)}
              onRetry={sendObstacle(state) === null ? () => store.sendHeld(held) : null}
              onDismiss={() => store.dropHeld(held)}
            />
          ))}
          {state.notice && (
            <PanelNotice
              store={store}
              state={state}
              notice={state.notice}
              old={state.notice === oldNotice}
            />
          )}
        </div>
      </div>
      {!following && (
        <button type="button" class="gn-button gn-jump" onClick={followLatest}>
          <DownIcon />
          Jump to latest
        </button>
      )}
    </div>
  );
}

interface MessagesProps {
  store: PanelStore;
  state: PanelState;
  first: number;
  last: number;
}

function Messages({ store, state, first, last: end }: MessagesProps) {
  const { messages } = state;
  const known = forgotten(state);
  const last = messages.at(-1);
  return (
    <>
      {messages.slice(first, end).flatMap((message, i) => [
        first + i === known && known > 0 ? (
          <p key="forgotten" class="gn-forgotten gn-muted">
            The model has forgotten what is above, to make room
          </p>
        ) : null,
        <Message
          key={message.turn}
          message={message}
          store={store}
          epoch={state.epoch}
          modelName={state.model.name}
          latest={message === last}
          greedy={state.settings.options.top_k === 1}
        />,
      ])}
    </>
  );
}

interface NoticeProps {
  store: PanelStore;
  state: PanelState;
  notice: NonNullable<PanelState["notice"]>;
  old: boolean;
}

function PanelNotice({ store, state, notice, old }: NoticeProps) {
  const { message, retry, text, files } = notice;
  if (retry === "reset") {
    return <Notice message={message} old={old} onRetry={() => store.reset()} />;
  }
  const again = retry === "send" && text !== undefined && sendObstacle(state) === null;
  return (
    <Notice
      message={message}
      old={old}
      onRetry={again ? () => store.send(text, files) : null}
      onDismiss={() => store.notice(null)}
    />
  );
}
