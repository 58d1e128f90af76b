/** What has the focus, also within shadow roots, in which some notebooks render widgets. */
export function focused(): Element | null {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element;
}

/**
 * Listens where `element` is and outside of it. What happens within a shadow root looks to the document as if it happened to
 * the root's host, and a move of the focus within one does not leave it.
 */
export function listenAround(
  element: Element,
  type: string,
  listener: (event: Event) => void,
  capture = false,
): () => void {
  const places = new Set<Node>([document, element.getRootNode()]);
  for (const place of places) place.addEventListener(type, listener, capture);
  return () => {
    for (const place of places) place.removeEventListener(type, listener, capture);
  };
}
