import { useLayoutEffect } from "preact/hooks";

/** The box is as high as its text, between the limits that the style sheet sets. */
export function useGrow(box: { current: HTMLTextAreaElement | null }, text: string): void {
  useLayoutEffect(() => {
    const area = box.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }, [box, text]);
}
