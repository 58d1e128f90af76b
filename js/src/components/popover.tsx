import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { listenAround } from "./focus";

interface Props {
  label: string;
  icon: ComponentChildren;
  children: (close: () => void) => ComponentChildren;
}

/** A button that shows something small below itself. Escape and a click elsewhere take it away. */
export function Popover({ label, icon, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  useEffect(() => {
    const here = root.current;
    if (!open || !here) return;
    const elsewhere = (event: Event) => {
      if (!event.composedPath().includes(here)) setOpen(false);
    };
    const ends = ["pointerdown", "focusin"].map((type) =>
      listenAround(here, type, elsewhere, true),
    );
    return () => {
      for (const end of ends) end();
    };
  }, [open]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes it from wherever the focus is inside
    <div
      class="gn-popover-root"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.preventDefault();
        close();
      }}
    >
      <button
        ref={button}
        type="button"
        class="gn-button gn-button-quiet"
        aria-label={label}
        aria-expanded={open}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {icon}
      </button>
      {open && <div class="gn-popover">{children(close)}</div>}
    </div>
  );
}
