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

/** Where a link really leads, when an address in its text looks like another one; else "". */
export function otherHost(href: string, text: string): string {
  const { host, hostname } = new URL(href);
  if (host === "") return "";
  const shown = [...asRead(text).matchAll(ADDRESS)].map(({ groups = {} }) => groups);
  // "https://bank.com@evil.example" leads to the second, whatever a reader takes it for.
  const other = shown.some(
    ({ user, server, name }) => user !== undefined || bare(server ?? name ?? "") !== bare(hostname),
  );
  return other ? host : "";
}

const SERVER = /:\/\/(?<user>[^\s/?#\\]*@)?(?<server>\[[\da-f:.]+\]|[\p{L}\p{N}][\p{L}\p{N}.-]*)/u;
/** Names have limits, and so has what is looked through from each letter on. */
const NAME =
  /(?<![\p{L}\p{N}])(?<name>(?:[\p{L}\p{N}-]{1,63}\.){1,10}(?:\p{L}{2,63}|xn--[\w-]{1,59})(?![\p{L}\p{N}-]))/u;
/** A server behind a scheme, or a name with dots, each with its path: in that nothing is an address of its own. */
const ADDRESS = new RegExp(`(?:${SERVER.source}|${NAME.source})(?:[:/?#]\\S*)?`, "giu");

/** Without what is not seen, and with the dots that browsers take for dots. */
function asRead(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, "")
    .replaceAll("。", ".");
}

function bare(name: string): string {
  return name.toLowerCase().replace(/^www\.|\.+$/g, "");
}
