import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ChatMessage, FileInfo } from "../protocol";
import type { PanelStore } from "../state";
import { SentFiles } from "./attachments";
import { BranchSwitch } from "./branch-switch";
import { CopyButton } from "./copy-button";
import { focused } from "./focus";
import { PencilIcon } from "./icons";
import { isComposing, isSend } from "./keys";
import { useGrow } from "./use-grow";

interface Props {
  text: string;
  /** Missing until the kernel has it. */
  message?: ChatMessage;
  store?: PanelStore;
  files?: readonly FileInfo[];
}

/** What the user said, and where it can be said otherwise. */
export function Prompt({ text, message, store, files = message?.files ?? [] }: Props) {
  const edit = `${store?.state.epoch}/${message?.turn}`;
  const [editing, setEditing] = useState(() => store?.edits.has(edit) ?? false);
  const button = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useLayoutEffect(() => {
    if (wasEditing.current && !editing) {
      button.current?.focus();
      // Hidden, because the answer is on its way.
      if (focused() !== button.current) toComposer(button.current);
    }
    wasEditing.current = editing;
  }, [editing]);
  return (
    <article class="gn-message gn-prompt" aria-label="You" data-sending={message === undefined}>
      {editing && message && store ? (
        <PromptEditor
          text={text}
          edited={store.edits.get(edit)}
          note={(t) => store.edits.set(edit, t)}
          save={(t) => store.edit(message.turn, t)}
          close={() => {
            store.edits.delete(edit);
            setEditing(false);
          }}
        />
      ) : (
        <>
          <div class="gn-bubble">
            {files.length > 0 && <SentFiles files={files} />}
            <div class="gn-text" dir="auto">
              {text}
            </div>
          </div>
          <div class="gn-prompt-actions">
            {message && store && (
              <>
                <BranchSwitch message={message} store={store} />
                <button
                  ref={button}
                  type="button"
                  class="gn-button gn-button-quiet gn-shy gn-back gn-edit"
                  aria-label="Edit"
                  title="Say it otherwise, and go on from here"
                  onClick={() => setEditing(true)}
                >
                  <PencilIcon />
                </button>
              </>
            )}
            <CopyButton text={text} />
          </div>
        </>
      )}
    </article>
  );
}

function toComposer(from: Element | null): void {
  const panel = from?.closest(".gn-panel");
  panel?.querySelector<HTMLElement>(".gn-composer textarea")?.focus();
}

interface EditorProps {
  text: string;
  /** What was written before the message left the page. */
  edited: string | undefined;
  note: (text: string) => void;
  /** False if it cannot be done now. */
  save: (text: string) => boolean;
  close: () => void;
}

function PromptEditor({ text, edited, note, save, close }: EditorProps) {
  const [draft, setDraft] = useState(edited ?? text);
  const box = useRef<HTMLTextAreaElement>(null);
  useGrow(box, draft);
  useEffect(() => {
    note(draft);
    if (edited !== undefined) return;
    box.current?.focus();
    box.current?.setSelectionRange(text.length, text.length);
  }, []);
  const submit = () => {
    if (draft.trim() === text.trim() || save(draft)) close();
  };
  return (
    <form
      class="gn-editor"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || isComposing(event)) return;
        event.preventDefault();
        close();
      }}
    >
      <textarea
        ref={box}
        class="gn-input"
        aria-label="Edited prompt"
        rows={1}
        dir="auto"
        value={draft}
        onInput={(event) => {
          setDraft(event.currentTarget.value);
          note(event.currentTarget.value);
        }}
        onKeyDown={(event) => {
          if (!isSend(event)) return;
          event.preventDefault();
          submit();
        }}
      />
      <div class="gn-editor-foot">
        <button type="button" class="gn-button gn-button-outline" title="Escape" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="gn-button gn-button-solid" title="Enter">
          Save and answer
        </button>
      </div>
    </form>
  );
}
