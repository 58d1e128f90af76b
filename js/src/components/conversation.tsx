import { useCallback, useLayoutEffect, useRef } from "preact/hooks";
import type { ChatMessage } from "../protocol";
import { type PanelState, type PanelStore, promptOf, sendObstacle } from "../state";
import { DownIcon } from "./icons";
import { Message, Prompt } from "./message";
import { Notice } from "./notice";
import { useFollow } from "./use-follow";

export function Conversation({ store, state }: { store: PanelStore; state: PanelState }) {
  const log = useRef<HTMLDivElement>(null);
  const { following, follow, onScroll } = useFollow(log);
  const unsent = state.outbox.filter((o) => o.turn === null && o.epoch === state.epoch);
  const last = state.messages.at(-1);

  // Whoever sends a message, or resets, wants to see what comes of it.
  const newest = unsent.at(-1)?.id;
  useLayoutEffect(() => {
    if (newest !== undefined) follow();
  }, [newest]);
  useLayoutEffect(follow, [state.epoch]);

  const retry = useCallback(
    (reply: ChatMessage) => {
      if (reply.error?.retry === "reset") return store.reset();
      const prompt = promptOf(store.state, reply);
      if (prompt !== null) store.send(prompt);
    },
    [store],
  );

  return (
    <div class="gn-conversation">
      <div
        class="gn-log"
        role="log"
        aria-label="Conversation"
        aria-live="off"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        ref={log}
        onScroll={onScroll}
      >
        {state.messages.length + unsent.length === 0 && <Welcome state={state} />}
        {state.messages.map((message) => (
          <Message
            key={message.turn}
            message={message}
            epoch={state.epoch}
            modelName={state.model.name}
            onRetry={message === last && canRetry(state, message) ? retry : null}
          />
        ))}
        {unsent.map((o) => (
          <Prompt key={o.id} text={o.text} sending />
        ))}
        {state.notice && <PanelNotice store={store} state={state} notice={state.notice} />}
      </div>
      {!following && (
        <button type="button" class="gn-button gn-jump" onClick={follow}>
          <DownIcon />
          Jump to latest
        </button>
      )}
    </div>
  );
}

function canRetry(state: PanelState, message: ChatMessage): boolean {
  return message.error?.retry === "reset" || sendObstacle(state) === null;
}

function PanelNotice({
  store,
  state,
  notice,
}: {
  store: PanelStore;
  state: PanelState;
  notice: NonNullable<PanelState["notice"]>;
}) {
  const { message, retry, text } = notice;
  if (retry === "reset") return <Notice message={message} onRetry={() => store.reset()} />;
  const again = retry === "send" && text !== undefined && sendObstacle(state) === null;
  return <Notice message={message} onRetry={again ? () => store.send(text) : null} />;
}

function Welcome({ state }: { state: PanelState }) {
  const { ready, status, model, handle, handles } = state;
  if (!ready || status === "failed" || status === "closed") return null;
  if (status === "resetting") {
    return <p class="gn-welcome gn-muted">Freeing the memory of the last chat…</p>;
  }
  return (
    <div class="gn-welcome">
      <p class="gn-welcome-title">Chat with {model.name}</p>
      <p class="gn-muted">
        It runs on the kernel's machine. It remembers what you say until you reset the chat.
      </p>
      {handle !== null && (
        <p class="gn-muted gn-handles">
          Conversation handle {handle} · {handles.live} live · {handles.closed} closed
        </p>
      )}
    </div>
  );
}
