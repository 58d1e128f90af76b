import { Component } from "preact";
import { useRef, useState } from "preact/hooks";
import { Markdown } from "../markdown";
import type { ChatMessage } from "../protocol";
import type { PanelStore } from "../state";
import { BranchSwitch } from "./branch-switch";
import { CopyButton } from "./copy-button";
import { footnote } from "./footnote";
import { RawIcon, RetryIcon, UndoIcon } from "./icons";
import { Notice } from "./notice";
import { Prompt } from "./prompt";
import { ariaKeysWith, keysWith } from "./shortcuts";
import { Thinking } from "./thinking";
import { ToolCalls } from "./tool-calls";

interface Props {
  message: ChatMessage;
  store: PanelStore;
  epoch: number;
  modelName: string;
  /** It is the last, and can be taken back or tried again. */
  latest: boolean;
  /** Another try would give the same words. */
  greedy: boolean;
}

/** One message. A class, because it must not render again while other messages stream. */
export class Message extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const names = Object.keys(next) as (keyof Props)[];
    return names.some((name) => next[name] !== this.props[name]);
  }

  override render(props: Props) {
    const { message, store } = props;
    if (message.role === "assistant") return <Reply {...props} />;
    return <Prompt text={message.text} message={message} store={store} />;
  }
}

function Reply({ message, store, epoch, modelName, latest, greedy }: Props) {
  const [raw, setRaw] = useState(false);
  const { turn, text, state, error, thinking = "", tool_calls: calls = [] } = message;
  const hadError = useRef(error !== undefined).current;
  const streaming = state === "streaming";
  const waiting = streaming && text === "" && thinking === "" && calls.length === 0;
  return (
    <article
      class="gn-message gn-reply"
      aria-label={modelName}
      aria-busy={streaming}
      data-epoch={epoch}
      data-state={state}
    >
      <div class="gn-author" aria-hidden="true">
        {modelName}
      </div>
      {thinking !== "" && <Thinking text={thinking} going={streaming && text === ""} />}
      {calls.length > 0 && <ToolCalls calls={calls} ended={!streaming} store={store} />}
      {waiting ? (
        <Dots />
      ) : (
        text !== "" && <Markdown text={text} streaming={streaming} raw={raw} gradual={latest} />
      )}
      {error && (
        <Notice
          message={error.message}
          old={hadError}
          onRetry={error.retry && latest ? () => retry(store, message) : null}
        />
      )}
      {!streaming && (
        <footer class="gn-message-foot">
          <BranchSwitch message={message} store={store} />
          <span class="gn-muted gn-numbers" dir="auto">
            {footnote(message)}
          </span>
          {latest && <LatestActions turn={turn} store={store} greedy={greedy} />}
          {text !== "" && <CopyButton text={text} />}
          {text !== "" && (
            <button
              type="button"
              class="gn-button gn-button-quiet gn-shy"
              aria-label="Raw text"
              aria-pressed={raw}
              title={raw ? "Show it formatted" : "Show the raw text"}
              onClick={() => setRaw(!raw)}
            >
              <RawIcon />
            </button>
          )}
        </footer>
      )}
    </article>
  );
}

function LatestActions({
  turn,
  store,
  greedy,
}: {
  turn: number;
  store: PanelStore;
  greedy: boolean;
}) {
  const same = greedy ? ": the same again while top-k is 1 (see Settings)" : "";
  return (
    <>
      <button
        type="button"
        class="gn-button gn-button-quiet gn-back"
        aria-label="Regenerate"
        aria-keyshortcuts={ariaKeysWith("G")}
        title={`Answer again${same} (${keysWith("G")})`}
        onClick={() => store.regenerate(turn)}
      >
        <RetryIcon />
      </button>
      <button
        type="button"
        class="gn-button gn-button-quiet gn-back"
        aria-label="Undo"
        aria-keyshortcuts={ariaKeysWith("Z")}
        title={`Take this turn back, from the model's memory too (${keysWith("Z")})`}
        onClick={() => store.undo()}
      >
        <UndoIcon />
      </button>
    </>
  );
}

function retry(store: PanelStore, { turn, error }: ChatMessage): void {
  if (error?.retry === "reset") store.reset();
  else store.regenerate(turn);
}

function Dots() {
  return (
    <div class="gn-dots" aria-hidden="true">
      <i />
      <i />
      <i />
    </div>
  );
}
