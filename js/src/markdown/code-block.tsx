import { useEffect, useState } from "preact/hooks";
import { CopyButton } from "../components/copy-button";
import { highlight, type Piece } from "./highlight";
import { whenIdle } from "./idle";

interface Coloured {
  code: string;
  pieces: Piece[];
}

/** Code with its language and a button that copies it. Colours come when the page has time. */
export function CodeBlock({ code, language }: { code: string; language: string }) {
  const coloured = useColours(code, language);
  return (
    <div class="gn-code" role="group" aria-label={language === "" ? "Code" : `Code, ${language}`}>
      <div class="gn-code-head">
        <span class="gn-code-language">{language}</span>
        <CopyButton text={code} label="Copy code" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre class="gn-code-text" dir="ltr" tabIndex={0}>
        <code>
          {coloured?.pieces.map(([text, kind]) =>
            kind === "" ? text : <span class={`gn-tok-${kind}`}>{text}</span>,
          )}
          {code.slice(coloured?.code.length ?? 0)}
        </code>
      </pre>
    </div>
  );
}

/** The colours of the code as far as they are known. */
function useColours(code: string, language: string): Coloured | null {
  const [coloured, setColoured] = useState<Coloured | null>(null);
  useEffect(
    () =>
      whenIdle(() => {
        const pieces = highlight(code, language);
        setColoured(pieces && { code, pieces });
      }),
    [code, language],
  );
  return coloured && code.startsWith(coloured.code) ? coloured : null;
}
