import { Component } from "preact";
import { Block } from "./block";
import { Runs } from "./runs";
import { type Entry, StreamingDocument } from "./streaming";

interface Props {
  text: string;
  /** More is to come: what is half written shows as what it will be. */
  streaming?: boolean;
  /** Show the text as it was written. */
  raw?: boolean;
}

/**
 * Markdown of somebody who is not trusted: nodes made of a syntax tree, links to the web and to mail alone, nothing
 * fetched. A text that grows costs what is new; blocks that are complete are rendered once.
 */
export class Markdown extends Component<Props> {
  private readonly document = new StreamingDocument();

  override shouldComponentUpdate(next: Props): boolean {
    const { text, streaming, raw } = this.props;
    return next.text !== text || next.streaming !== streaming || next.raw !== raw;
  }

  override render({ text, streaming = false, raw = false }: Props) {
    if (raw) {
      return (
        <div class="gn-text gn-raw" dir="auto">
          {text}
        </div>
      );
    }
    this.document.update(text, streaming);
    return (
      <div class="gn-text gn-markdown">
        <Runs nodes={this.document.entries} render={blockOf} />
      </div>
    );
  }
}

function blockOf({ key, node }: Entry) {
  return <Block key={key} node={node} />;
}
