import { useLayoutEffect, useRef } from "preact/hooks";
import { isReplying, type PanelState, type PanelStore, sendObstacle } from "../state";
import { SendIcon, StopIcon } from "./icons";

export function Composer({ store, state }: { store: PanelStore; state: PanelState }) {
  const box = useRef<HTMLTextAreaElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const replying = isReplying(state);
  const obstacle =
    sendObstacle(state) ?? (state.draft.trim() === "" ? "Write a message first." : null);

  useGrow(box, state.draft);
  useKeptFocus(form, box, replying);

  return (
    <form
      class="gn-composer"
      ref={form}
      onSubmit={(event) => {
        event.preventDefault();
        store.send(state.draft);
      }}
    >
      <textarea
        ref={box}
        class="gn-input"
        aria-label="Message"
        placeholder={`Message ${state.model.name}`}
        rows={1}
        dir="auto"
        value={state.draft}
        onInput={(event) => store.draft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (!sends(event)) return;
          event.preventDefault();
          store.send(event.currentTarget.value);
        }}
      />
      {replying ? (
        <button
          key="stop"
          type="button"
          class="gn-button gn-action gn-stop"
          aria-label="Stop"
          aria-disabled={state.status === "stopping"}
          title="Stop the reply"
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

/** Enter sends, Shift+Enter is a new line, and Enter that ends an IME composition is the IME's. */
function sends(event: KeyboardEvent): boolean {
  const composing = event.isComposing || event.keyCode === 229;
  return event.key === "Enter" && !event.shiftKey && !composing;
}

/** The box is as high as its text, between the limits that the style sheet sets. */
function useGrow(box: { current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [box, text]);
}

/** When the button that has the focus makes room for the other one, the focus goes to the text box. */
function useKeptFocus(
  form: { current: HTMLFormElement | null },
  box: { current: HTMLTextAreaElement | null },
  replying: boolean,
): void {
  const had = useRef(false);
  had.current ||= form.current?.querySelector(".gn-action") === document.activeElement;
  useLayoutEffect(() => {
    if (had.current && !form.current?.contains(document.activeElement)) box.current?.focus();
    had.current = false;
  }, [replying]);
}
