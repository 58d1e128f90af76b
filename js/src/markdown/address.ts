const ALLOWED = new Set(["http:", "https:", "mailto:"]);

/**
 * The address as the browser would read it, if a link may lead there; else null.
 *
 * Absolute addresses only: a relative one would lead to Jupyter's own server, with the reader's cookies.
 */
export function safeAddress(address: string): string | null {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return null;
  }
  if (!ALLOWED.has(url.protocol)) return null;
  // The browser reads "https:x" as "https://x", and on a page of https as a relative address.
  if (url.protocol !== "mailto:" && !/^https?:\/\//i.test(address.trim())) return null;
  return url.href;
}

/** Where a link really leads, when its text looks like another address; else "". */
export function otherHost(href: string, text: string): string {
  const shown = /^\s*(?:https?:\/\/)?((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})(?:[/?#:]|\s*$)/iu.exec(
    text,
  )?.[1];
  if (shown === undefined) return "";
  const { host, hostname } = new URL(href);
  const bare = (name: string) => name.toLowerCase().replace(/^www\./, "");
  return bare(hostname) === bare(shown) || host === "" ? "" : host;
}
