/** Enter sends, Shift+Enter is a new line, and Enter that ends an IME composition is the IME's. */
export function isSend(event: KeyboardEvent): boolean {
  return event.key === "Enter" && !event.shiftKey && !isComposing(event);
}

/** The key belongs to an input method that is putting a character together. */
export function isComposing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229;
}
