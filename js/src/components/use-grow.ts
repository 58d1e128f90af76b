import { useLayoutEffect } from "preact/hooks";

/** The box is as high as its text, between the limits that the style sheet sets. */
export function useGrow(box: { current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    const letGo = holdHeight(area.parentElement);
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
    letGo();
  }, [box, text]);
}

/** Measuring makes the box one line high: what is around it must not shrink with it, or the chat is scrolled. */
function holdHeight(frame: HTMLElement | null): () => void {
  if (!frame) return () => {};
  const { minHeight } = frame.style;
  frame.style.minHeight = `${frame.offsetHeight}px`;
  return () => {
    frame.style.minHeight = minHeight;
  };
}
