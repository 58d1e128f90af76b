import type { ComponentChildren } from "preact";
import { otherHost } from "./address";
import { Formula } from "./formula";
import { Runs } from "./runs";
import type { Image, Inline, Link } from "./syntax";

/** A text that grows is shaped and laid out again as a whole, so it is shown in pieces that end at a space. */
const PIECE = 1_000;
const PIECES = /[\s\S]{1,1000}(?:\s|$)|[\s\S]{1,1000}/gu;

export function Inlines({ nodes }: { nodes: Inline[] }) {
  return <Runs nodes={nodes.some(isLong) ? nodes.flatMap(piecesOf) : nodes} render={InlineNode} />;
}

function isLong(node: Inline): boolean {
  return typeof node === "string" && node.length > PIECE;
}

function piecesOf(node: Inline): Inline[] {
  if (typeof node !== "string") return [node];
  return node.match(PIECES) ?? [];
}

function InlineNode(node: Inline): ComponentChildren {
  if (typeof node === "string") return node;
  switch (node.type) {
    case "strong":
      return <strong>{node.children.map(InlineNode)}</strong>;
    case "emphasis":
      return <em>{node.children.map(InlineNode)}</em>;
    case "strike":
      return <del>{node.children.map(InlineNode)}</del>;
    case "code":
      return <code class="gn-inline-code">{node.text}</code>;
    case "math":
      return <Formula tex={node.text} display={node.display ?? false} />;
    case "link":
      return <Anchor link={node} />;
    case "image":
      return <ImageLink image={node} />;
  }
}

function Anchor({ link }: { link: Link }) {
  const { href, title, children } = link;
  return (
    <>
      <a
        href={href}
        title={title === "" ? href : `${title}\n${href}`}
        target="_blank"
        rel="noopener noreferrer"
      >
        {children.map(InlineNode)}
      </a>
      <OtherHost href={href} text={plainText(children)} />
    </>
  );
}

function OtherHost({ href, text }: { href: string; text: string }) {
  const host = otherHost(href, text);
  if (host === "") return null;
  // Isolated, or a direction that the text around it sets would turn it round.
  return (
    <span class="gn-muted">
      {" "}
      <bdi dir="ltr">({host})</bdi>
    </span>
  );
}

/** An image is not fetched: its server would learn of it. */
function ImageLink({ image: { href, alt } }: { image: Image }) {
  return (
    <>
      <a class="gn-image" href={href} title={href} target="_blank" rel="noopener noreferrer">
        Image{alt === "" ? "" : `: ${alt}`}
      </a>
      <OtherHost href={href} text={alt} />
    </>
  );
}

function plainText(nodes: Inline[]): string {
  return nodes
    .map((node) => {
      if (typeof node === "string") return node;
      return "children" in node ? plainText(node.children) : "text" in node ? node.text : node.alt;
    })
    .join("");
}
