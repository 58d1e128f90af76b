import { useContext, useEffect, useState } from "preact/hooks";
import { Announce } from "./announce";
import { CheckIcon, CopyIcon } from "./icons";

const SHOWN_MS = 1600;

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const announce = useContext(Announce);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const onClick = async (button: HTMLButtonElement) => {
    const done = await copy(text, button);
    setCopied(done);
    announce(done ? "Copied" : "It could not be copied: select the text and copy it.");
  };
  return (
    <button
      type="button"
      class="gn-button gn-button-quiet gn-shy gn-copy"
      aria-label={label}
      title={copied ? "Copied" : label}
      data-copied={copied}
      onClick={(event) => onClick(event.currentTarget)}
    >
      {copied ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}

/** Copies; the old way where Jupyter is served over plain http and the clipboard API is missing. */
async function copy(text: string, button: HTMLButtonElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "gn-offscreen";
    button.after(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    button.focus();
    return done;
  }
}
