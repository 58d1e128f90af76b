/** The syntax tree of a reply: plain data, from which the elements are made. */

export interface Link {
  type: "link";
  /** Allowed by `safeAddress`, and nothing else. */
  href: string;
  title: string;
  children: Inline[];
}

export interface Image {
  type: "image";
  href: string;
  alt: string;
}

export interface Span {
  type: "strong" | "emphasis" | "strike";
  children: Inline[];
}

export interface Verbatim {
  type: "code" | "math";
  text: string;
  /** Of maths: on a line of its own. */
  display?: boolean;
}

/** Spans and links stand in each other to this depth: who goes through the tree, and the browser, calls itself at each. */
export const MOST_DEPTH = 40;

/** Text, in which a line feed breaks the line; or something marked up. */
export type Inline = string | Span | Link | Image | Verbatim;

export interface Paragraph {
  type: "paragraph";
  children: Inline[];
}

export interface Heading {
  type: "heading";
  level: number;
  children: Inline[];
}

export interface Quote {
  type: "quote";
  children: Block[];
}

export interface Item {
  type: "item";
  /** Of a task list. */
  checked: boolean | null;
  children: Block[];
}

export interface List {
  type: "list";
  ordered: boolean;
  start: number;
  /** Its items are single paragraphs without space between them. */
  tight: boolean;
  children: Item[];
}

export interface Code {
  type: "fence";
  language: string;
  text: string;
}

export interface Formula {
  type: "formula";
  text: string;
  /** What opened it was also closed. */
  closed: boolean;
}

export type Align = "left" | "center" | "right" | null;

export interface Row {
  type: "row";
  cells: Inline[][];
}

export interface Table {
  type: "table";
  align: Align[];
  head: Row;
  children: Row[];
}

export interface Rule {
  type: "rule";
}

export type Block = Paragraph | Heading | Quote | List | Code | Formula | Table | Rule;
