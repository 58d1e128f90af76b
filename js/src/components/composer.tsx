import { useRef, useState } from "preact/hooks";
import { isReplying, type PanelState, type PanelStore, sendObstacle } from "../state";
import { AttachButton, Attachments } from "./attachments";
import { SendIcon, StopIcon } from "./icons";
import { isSend } from "./keys";
import { useGrow } from "./use-grow";
import { useRecall } from "./use-recall";

export function Composer({ store, state }: { store: PanelStore; state: PanelState }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [dragged, setDragged] = useState(false);
  const replying = isReplying(state);
  const obstacle =
    sendObstacle(state) ?? (state.draft.trim() === "" ? "Write a message first." : null);
  const recall = useRecall(store, state);

  useGrow(box, state.draft);

  const send = () => {
    const { draft, attached } = store.state;
    store.send(draft, attached);
  };
  const attach = (chosen: readonly File[]) => void store.attach(chosen);

  return (
    <form
      class="gn-composer"
      data-dragged={dragged}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setDragged(true);
      }}
      onDragLeave={() => setDragged(false)}
      onDrop={(event) => {
        setDragged(false);
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        attach([...event.dataTransfer.files]);
      }}
    >
      <Attachments
        files={state.attached}
        remove={(file) => {
          store.detach(file);
          box.current?.focus();
        }}
      />
      <AttachButton modalities={state.model.modalities} attach={attach} />
      <textarea
        ref={box}
        class="gn-input"
        aria-label="Message"
        placeholder={`Message ${state.model.name}`}
        rows={1}
        dir="auto"
        value={state.draft}
        readOnly={state.lost !== null}
        onInput={(event) => store.draft(event.currentTarget.value)}
        onPaste={(event) => {
          const pasted = [...(event.clipboardData?.files ?? [])];
          // What is copied from a sheet or a document comes as rich text, and as a picture of it besides; a file comes
          // with its name as plain text, on a Mac.
          const kinds = event.clipboardData?.types ?? [];
          const isText =
            kinds.includes("text/plain") &&
            (kinds.includes("text/html") || kinds.includes("text/rtf"));
          if (pasted.length === 0 || isText) return;
          event.preventDefault();
          attach(pasted);
        }}
        onKeyDown={(event) => {
          if (isSend(event)) {
            event.preventDefault();
            store.draft(event.currentTarget.value);
            send();
          } else recall(event);
        }}
      />
      {replying ? (
        <button
          key="stop"
          type="button"
          class="gn-button gn-action gn-stop"
          aria-label="Stop"
          aria-disabled={state.status === "stopping"}
          title="Stop the reply (Escape)"
          // The second click of a double click on Send is not meant for Stop.
          onClick={(event) => event.detail <= 1 && store.stop()}
        >
          <StopIcon />
        </button>
      ) : (
        <button
          key="send"
          type="submit"
          class="gn-button gn-action"
          aria-label="Send"
          aria-disabled={obstacle !== null}
          title={obstacle ?? "Send (Enter)"}
        >
          <SendIcon />
        </button>
      )}
    </form>
  );
}
