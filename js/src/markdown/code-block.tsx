import { Component, type ComponentChildren } from "preact";
import { CopyButton } from "../components/copy-button";
import { highlight, type Piece } from "./highlight";
import { whenIdle } from "./idle";
import { sectionsOf } from "./sections";

/** Code with its language and a button that copies it. */
export function CodeBlock({ code, language }: { code: string; language: string }) {
  return (
    <div class="gn-code" role="group" aria-label={language === "" ? "Code" : `Code, ${language}`}>
      <div class="gn-code-head">
        <span class="gn-code-language">{language}</span>
        <CopyButton text={code} label="Copy code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre class="gn-code-text" dir="ltr" tabIndex={0}>
        <code>
          {sectionsOf(code).map((section, i) => (
            <Section key={i} code={section} language={language} />
          ))}
        </code>
      </pre>
    </div>
  );
}

interface Props {
  code: string;
  language: string;
}

interface Coloured extends Props {
  pieces: Piece[];
}

/** A part of the code, rendered when it changes. Colours come when the page has time. */
class Section extends Component<Props, { coloured: Coloured | null }> {
  override state = { coloured: null };
  private takeBack = () => {};

  override shouldComponentUpdate(next: Props, state: { coloured: Coloured | null }): boolean {
    const { code, language } = this.props;
    return (
      next.code !== code || next.language !== language || state.coloured !== this.state.coloured
    );
  }

  override componentDidMount() {
    this.colour();
  }

  override componentDidUpdate(before: Props) {
    const { code, language } = this.props;
    if (before.code !== code || before.language !== language) this.colour();
  }

  override componentWillUnmount() {
    this.takeBack();
  }

  private colour() {
    this.takeBack();
    this.takeBack = whenIdle(() => {
      const { code, language } = this.props;
      const pieces = highlight(code, language);
      this.setState({ coloured: pieces && { code, language, pieces } });
    });
  }

  override render({ code, language }: Props, { coloured }: { coloured: Coloured | null }) {
    const known = coloured?.language === language && code.startsWith(coloured.code);
    return (
      <span class="gn-code-section">
        {known && coloured.pieces.map(spanOf)}
        {known ? code.slice(coloured.code.length) : code}
      </span>
    );
  }
}

function spanOf([text, kind]: Piece): ComponentChildren {
  return kind === "" ? text : <span class={`gn-tok-${kind}`}>{text}</span>;
}
