import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { CloseIcon } from "./icons";

interface Props {
  title: string;
  close: () => void;
  children: ComponentChildren;
}

/** Something that lies over the conversation; Escape closes it. It takes the focus when it opens. */
export function Drawer({ title, close, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <section class="gn-drawer" aria-label={title}>
      <div class="gn-drawer-head">
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <button
          type="button"
          class="gn-button gn-button-quiet"
          aria-label="Close"
          title="Close (Escape)"
          onClick={close}
        >
          <CloseIcon />
        </button>
      </div>
      <div class="gn-drawer-body">{children}</div>
    </section>
  );
}
