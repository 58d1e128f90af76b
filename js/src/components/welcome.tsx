import { type PanelState, type PanelStore, sendObstacle } from "../state";

/** What an empty chat shows: whom one talks to, and what one may begin with. */
export function Welcome({ store, state }: { store: PanelStore; state: PanelState }) {
  const { ready, status, model, handle, handles, prompts, lost } = state;
  if (!ready || status === "failed" || status === "closed" || lost !== null) return null;
  if (status === "resetting") {
    return (
      <p class="gn-welcome gn-muted" dir="auto">
        Freeing the memory of the last chat…
      </p>
    );
  }
  return (
    <div class="gn-welcome">
      <p class="gn-welcome-title">Chat with {model.name}</p>
      <p class="gn-muted" dir="auto">
        It runs on the kernel's machine. It remembers what you say until you reset the chat.
      </p>
      {prompts.length > 0 && (
        <ul class="gn-starters" aria-label="Prompts to begin with">
          {prompts.map((prompt) => (
            <li key={prompt}>
              <button
                type="button"
                class="gn-button gn-button-outline"
                aria-disabled={sendObstacle(state) !== null}
                onClick={() => store.send(prompt)}
              >
                {prompt}
              </button>
            </li>
          ))}
        </ul>
      )}
      {handle !== null && (
        <p class="gn-muted gn-handles">
          Conversation handle {handle} · {handles.live} live · {handles.closed} closed
        </p>
      )}
    </div>
  );
}
