import { Component } from "preact";
import { Markdown } from "../markdown";
import type { ChatMessage, FinishReason, Timing } from "../protocol";
import { CopyButton } from "./copy-button";
import { Notice } from "./notice";

interface Props {
  message: ChatMessage;
  epoch: number;
  modelName: string;
  onRetry: ((message: ChatMessage) => void) | null;
}

/** One message. A class, because it must not render again while other messages stream. */
export class Message extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return (
      next.message !== this.props.message ||
      next.epoch !== this.props.epoch ||
      next.modelName !== this.props.modelName ||
      (next.onRetry === null) !== (this.props.onRetry === null)
    );
  }

  override render({ message, epoch, modelName, onRetry }: Props) {
    if (message.role === "user") return <Prompt text={message.text} />;
    const { text, state, error } = message;
    return (
      <article
        class="gn-message gn-reply"
        aria-label={modelName}
        aria-busy={state === "streaming"}
        data-epoch={epoch}
        data-state={state}
      >
        <div class="gn-author" aria-hidden="true">
          {modelName}
        </div>
        {state === "streaming" && text === "" ? (
          <Thinking />
        ) : (
          text !== "" && <Markdown text={text} streaming={state === "streaming"} />
        )}
        {error && (
          <Notice
            message={error.message}
            onRetry={error.retry && onRetry ? () => onRetry(message) : null}
          />
        )}
        {state !== "streaming" && (
          <footer class="gn-message-foot">
            <span class="gn-muted">{footnote(message)}</span>
            {text !== "" && <CopyButton text={text} />}
          </footer>
        )}
      </article>
    );
  }
}

/** What the user said; `sending` until the kernel has it. */
export function Prompt({ text, sending = false }: { text: string; sending?: boolean }) {
  return (
    <article class="gn-message gn-prompt" aria-label="You" data-sending={sending}>
      <div class="gn-text" dir="auto">
        {text}
      </div>
      <CopyButton text={text} />
    </article>
  );
}

function Thinking() {
  return (
    <div class="gn-dots" aria-hidden="true">
      <i />
      <i />
      <i />
    </div>
  );
}

const ENDINGS: Record<FinishReason, string> = {
  stop: "",
  length: "Ended at the output limit",
  cancelled: "Stopped",
  context_full: "Ended because the context is full",
  tool_calls: "",
};

function footnote({ finish_reason, state, timing, trimmed_turns }: ChatMessage): string {
  const ending = finish_reason ? ENDINGS[finish_reason] : state === "cancelled" ? "Stopped" : "";
  return [ending, trimmed(trimmed_turns), ...speeds(timing)]
    .filter((part) => part !== "")
    .join(" · ");
}

function trimmed(turns = 0): string {
  if (turns === 0) return "";
  return `${turns === 1 ? "The oldest turn was" : `The oldest ${turns} turns were`} forgotten to make room`;
}

function speeds(timing: Timing | undefined): string[] {
  if (!timing) return [];
  const { time_to_first_token_s: first, decode_tokens_per_s: rate } = timing;
  return [
    first === null ? "" : `${seconds(first)} to first token`,
    rate === null ? "" : `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} tokens/s`,
  ];
}

function seconds(value: number): string {
  return value < 1 ? `${Math.max(1, Math.round(value * 1000))} ms` : `${value.toFixed(1)} s`;
}
