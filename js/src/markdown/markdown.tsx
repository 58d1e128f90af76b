import { Component, createContext } from "preact";
import { Block } from "./block";
import { Runs } from "./runs";
import { type Entry, StreamingDocument } from "./streaming";

/** Of a text that is there at once, so much is rendered in one task. */
const STEP = 1000;

/**
 * Whether the end is followed, so that a long text there may come bit by bit, and the page answers in between. An
 * object that stays the same: that it changes renders nothing.
 */
export const Gradually = createContext({ current: false });

interface Props {
  text: string;
  /** More is to come: what is half written shows as what it will be. */
  streaming?: boolean;
  /** Show the text as it was written. */
  raw?: boolean;
  /** It may come bit by bit when it is there at once: nothing that is read stands below it. */
  gradual?: boolean;
}

/**
 * Markdown of somebody who is not trusted: nodes made of a syntax tree, links to the web and to mail alone, nothing
 * fetched. What cannot be rendered is shown as it was written: an error here would end the panel.
 */
export class Markdown extends Component<Props, { failed: boolean }> {
  override state = { failed: false };

  override componentDidCatch(error: unknown) {
    console.warn("gemma_notebook: a text cannot be rendered", error);
    this.setState({ failed: true });
  }

  override render({ raw, ...props }: Props, { failed }: { failed: boolean }) {
    return raw || failed ? <Raw text={props.text} /> : <Rendered {...props} />;
  }
}

function Raw({ text }: { text: string }) {
  return (
    <div class="gn-text gn-raw" dir="auto">
      {text}
    </div>
  );
}

/** A text that grows costs what is new; blocks that are complete are rendered once. */
class Rendered extends Component<Omit<Props, "raw">> {
  static override contextType = Gradually;
  declare context: { current: boolean };
  private readonly document = new StreamingDocument();
  /** How much of the text has been rendered. */
  private end = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  override shouldComponentUpdate(next: Props): boolean {
    const { text, streaming } = this.props;
    return next.text !== text || next.streaming !== streaming;
  }

  override componentDidMount() {
    this.goOn();
  }

  override componentDidUpdate() {
    this.goOn();
  }

  override componentWillUnmount() {
    clearTimeout(this.timer);
  }

  override render({ text, streaming = false, gradual = false }: Props) {
    this.end = gradual && this.context.current ? nextEnd(text, this.end) : text.length;
    const whole = this.end === text.length;
    this.document.update(whole ? text : text.slice(0, this.end), streaming || !whole);
    return (
      <div class="gn-text gn-markdown">
        <Runs nodes={this.document.entries} render={blockOf} />
      </div>
    );
  }

  private goOn() {
    clearTimeout(this.timer);
    const { text } = this.props;
    if (this.end === text.length) return;
    this.timer = setTimeout(() => this.forceUpdate(), 0);
  }
}

/** How much of a text to render when `end` of it was: all that is left, or to the end of a line. */
function nextEnd(text: string, end: number): number {
  if (text.length - end <= 2 * STEP) return text.length;
  const line = text.lastIndexOf("\n", end + STEP) + 1;
  return line > end ? line : end + STEP;
}

function blockOf({ key, node }: Entry) {
  return <Block key={key} node={node} />;
}
