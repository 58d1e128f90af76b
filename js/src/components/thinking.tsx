import { useState } from "preact/hooks";

/** What the model thought: open while it thinks, folded afterwards, and as the user likes once it was clicked. */
export function Thinking({ text, going }: { text: string; going: boolean }) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? going;
  return (
    <div class="gn-fold gn-thinking" data-going={going}>
      <button
        type="button"
        class="gn-button gn-button-quiet gn-fold-head"
        aria-expanded={open}
        onClick={() => setChosen(!open)}
      >
        {going ? "Thinking…" : "Thoughts"}
      </button>
      {open && (
        <div
          class="gn-fold-body"
          dir="auto"
          role="group"
          aria-label="Thoughts"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
          tabIndex={0}
        >
          {text}
        </div>
      )}
    </div>
  );
}
