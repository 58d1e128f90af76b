/** Markdown's blocks as markdown-it finds them, made into the syntax tree. Raw HTML is text. */
import MarkdownIt, { type Token } from "markdown-it";
import { safeAddress } from "./address";
import { Definitions } from "./definitions";
import { mathRules } from "./math-rules";
import {
  type Align,
  type Block,
  type Code,
  type Inline,
  type Item,
  type List,
  MOST_DEPTH,
  type Row,
  type Table,
} from "./syntax";

const md = new MarkdownIt({ html: false, linkify: true, maxNesting: MOST_DEPTH }).use(mathRules);
md.linkify.set({ fuzzyLink: false, fuzzyIP: false });
md.normalizeLink = (address) => safeAddress(address) ?? address;
md.normalizeLinkText = (address) => address;
md.validateLink = (address) => safeAddress(address) !== null;

/** Turns the text of a paragraph or a cell into nodes. */
export type ReadInline = (content: string) => Inline[];

/** A block at the top level: its tokens, and the lines that they come from. */
export interface Parsed {
  tokens: Token[];
  from: number;
  to: number;
}

/** The blocks of `source`; link definitions among them go to `definitions`. */
export function parseBlocks(source: string, definitions: Definitions): Parsed[] {
  const tokens: Token[] = [];
  md.block.parse(source, md, { references: definitions.references }, tokens);
  const blocks: Parsed[] = [];
  let open: Token[] = [];
  for (const token of tokens) {
    if (token.type === "reference_definition") continue;
    open.push(token);
    if (token.level > 0 || token.nesting === 1) continue;
    const [from = 0, to = from] = open[0]?.map ?? [];
    blocks.push({ tokens: open, from, to });
    open = [];
  }
  return blocks;
}

/** As markdown-it makes it first: line feeds end lines, and no NUL. */
export function normalized(source: string): string {
  return /[\r\0]/.test(source) ? source.replace(/\r\n?/g, "\n").replaceAll("\0", "\uFFFD") : source;
}

export function readInline(content: string, definitions: Definitions): Inline[] {
  const tokens: Token[] = [];
  md.inline.parse(content, md, { references: definitions.references }, tokens);
  return new InlineReader(tokens.filter(isShallow)).read();
}

/** The node of a block's tokens. */
export function readBlock({ tokens }: Parsed, inline: ReadInline): Block {
  return new BlockReader(tokens, inline).block();
}

/** The tree of a whole text. */
export function parseMarkdown(text: string): Block[] {
  const definitions = new Definitions();
  const blocks = parseBlocks(normalized(text), definitions);
  return blocks.map((block) => readBlock(block, (content) => readInline(content, definitions)));
}

class BlockReader {
  private at = 0;

  constructor(
    private readonly tokens: Token[],
    private readonly inline: ReadInline,
  ) {}

  block(): Block {
    const token = this.next();
    switch (token.type) {
      case "heading_open":
        return { type: "heading", level: Number(token.tag.slice(1)), children: this.leaf() };
      case "blockquote_open":
        return { type: "quote", children: this.until("blockquote_close") };
      case "bullet_list_open":
      case "ordered_list_open":
        return this.list(token);
      case "table_open":
        return this.table();
      case "fence":
      case "code_block":
        return code(token);
      case "formula":
        return { type: "formula", text: token.content, closed: token.info === "closed" };
      case "hr":
        return { type: "rule" };
      default:
        return { type: "paragraph", children: this.leaf() };
    }
  }

  private next(): Token {
    const token = this.tokens[this.at++];
    if (!token) throw new Error("markdown-it left a block open");
    return token;
  }

  private until(close: string): Block[] {
    const blocks: Block[] = [];
    while (this.tokens[this.at]?.type !== close) blocks.push(this.block());
    this.at++;
    return blocks;
  }

  /** The text of a paragraph, a heading or a cell, and past its end. */
  private leaf(): Inline[] {
    const children = this.inline(this.next().content);
    this.at++;
    return children;
  }

  private list(open: Token): List {
    const ordered = open.type === "ordered_list_open";
    const children: Item[] = [];
    let tight = true;
    while (this.next().type === "list_item_open") {
      const from = this.at;
      const item: Item = { type: "item", checked: null, children: this.until("list_item_close") };
      const own = this.tokens.slice(from, this.at).filter((t) => t.level === open.level + 2);
      if (own.some((t) => t.type === "paragraph_open" && !t.hidden)) tight = false;
      children.push(asTask(item));
    }
    return { type: "list", ordered, start: Number(open.attrGet("start") ?? 1), tight, children };
  }

  private table(): Table {
    const rows: Row[] = [];
    const align: Align[] = [];
    let row: Row = { type: "row", cells: [] };
    for (let token = this.next(); token.type !== "table_close"; token = this.next()) {
      if (token.type === "tr_open") row = { type: "row", cells: [] };
      else if (token.type === "tr_close") rows.push(row);
      else if (token.type === "th_open" || token.type === "td_open") {
        if (token.type === "th_open") align.push(alignment(token));
        row.cells.push(this.leaf());
      }
    }
    const [head = row, ...children] = rows;
    return { type: "table", align, head, children };
  }
}

function code(token: Token): Code {
  const language = /^[\w+#.-]{1,20}(?=$|[\s:{,])/.exec(token.info.trim())?.[0] ?? "";
  return {
    type: "fence",
    language: language.toLowerCase(),
    text: token.content.replace(/\n$/, ""),
  };
}

function alignment(token: Token): Align {
  const found = /left|center|right/.exec(attribute(token, "style"))?.[0];
  return (found as Align | undefined) ?? null;
}

/** `[ ]` and `[x]` at the beginning of an item are boxes. */
function asTask(item: Item): Item {
  const first = item.children[0];
  const text = first?.type === "paragraph" ? first.children[0] : undefined;
  const box = typeof text === "string" ? /^\[([ xX])\]\s+/.exec(text) : null;
  if (!box || first?.type !== "paragraph") return item;
  const rest = (text as string).slice(box[0].length);
  const paragraph: Block = { type: "paragraph", children: [rest, ...first.children.slice(1)] };
  return {
    type: "item",
    checked: box[1] !== " ",
    children: [paragraph, ...item.children.slice(1)],
  };
}

const SPANS: Record<string, "strong" | "emphasis" | "strike"> = {
  strong_open: "strong",
  em_open: "emphasis",
  s_open: "strike",
};

/** markdown-it limits the depth of blocks and brackets, but not of emphasis: what is deeper becomes its content. */
function isShallow({ nesting, level }: Token): boolean {
  return nesting === 0 || level < MOST_DEPTH;
}

class InlineReader {
  private at = 0;

  constructor(private readonly tokens: Token[]) {}

  /** Nodes up to the end, or to a closing token. */
  read(): Inline[] {
    const nodes: Inline[] = [];
    for (let token = this.tokens[this.at]; token; token = this.tokens[this.at]) {
      this.at++;
      if (token.nesting === -1) break;
      for (const node of this.nodes(token)) append(nodes, node);
    }
    return nodes;
  }

  private nodes(token: Token): Inline[] {
    if (token.type !== "link_open" && token.type !== "image") return [this.node(token)];
    const href = safeAddress(attribute(token, token.type === "image" ? "src" : "href"));
    const title = attribute(token, "title");
    // markdown-it does not ask about an empty address.
    if (token.type === "image") {
      return [href === null ? token.content : { type: "image", href, alt: token.content }];
    }
    const children = this.read();
    return href === null ? children : [{ type: "link", href, title, children }];
  }

  private node(token: Token): Inline {
    const span = SPANS[token.type];
    if (span) return { type: span, children: this.read() };
    switch (token.type) {
      case "softbreak":
      case "hardbreak":
        return "\n";
      case "code_inline":
        return { type: "code", text: token.content };
      case "math":
        return { type: "math", text: token.content, display: token.info === "display" };
      default:
        return token.content;
    }
  }
}

function append(nodes: Inline[], node: Inline) {
  const last = nodes.length - 1;
  if (typeof node !== "string") nodes.push(node);
  else if (typeof nodes[last] === "string") nodes[last] += node;
  else if (node !== "") nodes.push(node);
}

function attribute(token: Token, name: string): string {
  return String(token.attrGet(name) ?? "");
}
