/** Makes the end of a streaming text whole for the eye: what is half written shows as what it will be. */
import type { Token } from "markdown-it";
import type { Parsed } from "./parser";
import { MOST_DEPTH } from "./syntax";

/** `blocks` of `source` with the last one made whole; `parse` reads a changed source. */
export function healBlocks(
  blocks: Parsed[],
  source: string,
  parse: (source: string) => Parsed[],
): Parsed[] {
  const last = blocks.at(-1);
  if (!last) return blocks;
  const table = withDelimiterRow(last, source);
  const healed = table === null ? blocks : parse(table);
  if (!source.endsWith("\n")) asParagraph(last);
  const leaf = lastText(healed.at(-1)?.tokens ?? []);
  if (leaf) leaf.content = closeSpans(leaf.content);
  return healed;
}

/** A line of dashes below a paragraph makes it a heading; but the first dash often begins a list. */
function asParagraph({ tokens }: Parsed) {
  const [open, , close] = tokens;
  if (open?.type !== "heading_open" || !/^[-=]$/.test(open.markup)) return;
  open.type = "paragraph_open";
  if (close) close.type = "paragraph_close";
}

/** A table shows as one from its first row on: the source with the row of dashes put in or completed. */
function withDelimiterRow({ tokens }: Parsed, source: string): string | null {
  const [open, text] = tokens;
  if (open?.type !== "paragraph_open" || !text) return null;
  const lines = text.content.split("\n");
  const delimited = lines.length > 1 && /^\|[\s:|-]*$/.test(lines.at(-1) ?? "");
  const header = (lines.at(delimited ? -2 : -1) ?? "").trim();
  if (!/^\|(?:[^|\\]|\\.)+\|(?:(?:[^|\\]|\\.)*\|)*$/.test(header)) return null;
  const columns = header.slice(1, -1).split(/(?<!\\)\|/).length;
  const before = delimited ? source.slice(0, source.trimEnd().lastIndexOf("\n")) : source.trimEnd();
  return `${before}\n|${" --- |".repeat(columns)}\n`;
}

/** The text that a streaming block ends with; none if it ends with code. */
function lastText(tokens: Token[]): Token | null {
  for (const token of [...tokens].reverse()) {
    if (token.type === "inline" && token.content !== "") return token;
    if (token.nesting === 0 && token.type !== "inline") return null;
  }
  return null;
}

/** Closes what is open at the end of `text`: code, emphasis, links. */
export function closeSpans(text: string): string {
  return new Closer(text).close();
}

class Closer {
  private at = 0;
  private readonly open: string[] = [];

  constructor(private text: string) {}

  close(): string {
    while (this.at < this.text.length) this.step();
    if (this.open.length === 0) return this.text;
    return this.text.trimEnd() + this.open.slice(-MOST_DEPTH).reverse().join("");
  }

  private step() {
    const { text, at } = this;
    switch (text[at]) {
      case "\\":
        this.at += 2;
        break;
      case "`":
        this.code();
        break;
      case "$":
        this.at = Math.max(text.indexOf("$", at + 1), at) + 1;
        break;
      case "*":
      case "_":
      case "~":
        this.emphasis();
        break;
      case "[":
        this.label();
        break;
      case "]":
        this.target();
        break;
      default:
        this.at++;
    }
  }

  private run(): string {
    const char = this.text[this.at];
    let end = this.at;
    while (this.text[end] === char) end++;
    return this.text.slice(this.at, end);
  }

  private code() {
    const run = this.run();
    const begin = this.at + run.length;
    const end = this.endOfCode(run, begin);
    if (end !== null) {
      this.at = end;
      return;
    }
    const content = this.text.slice(begin).replace(/`+$/, "");
    this.text = this.text.slice(0, this.at) + (content.trim() === "" ? "" : run + content + run);
    this.at = this.text.length;
  }

  /** Behind the next run that is as long. What is passed on the way is not looked at again, so all runs cost one pass. */
  private endOfCode(run: string, begin: number): number | null {
    const ticks = /`+/g;
    ticks.lastIndex = begin;
    for (let next = ticks.exec(this.text); next; next = ticks.exec(this.text)) {
      if (next[0].length === run.length) return ticks.lastIndex;
    }
    return null;
  }

  private emphasis() {
    const run = this.run();
    const [before = " ", after] = [this.text[this.at - 1], this.text[this.at + run.length]];
    const inWord = run[0] === "_" && /\w/.test(before) && /\w/.test(after ?? "");
    const alone = run[0] === "~" && run.length !== 2;
    let left = inWord || (alone && after !== undefined) ? 0 : run.length;
    const begin = this.at;
    this.at += run.length;
    if (/\S/.test(before)) {
      for (let top = this.open.at(-1); top?.[0] === run[0] && left >= (top?.length ?? 0); ) {
        left -= this.open.pop()?.length ?? 0;
        top = this.open.at(-1);
      }
    }
    if (left === 0) return;
    if (after === undefined) this.text = this.text.slice(0, begin + run.length - left);
    else if (/\S/.test(after)) this.open.push(run.slice(0, left));
  }

  /** `[label` without its end reads as its text. */
  private label() {
    const { text, at } = this;
    const image = text[at - 1] === "!";
    const before = text[at - (image ? 2 : 1)] ?? " ";
    if (text.indexOf("]", at) < 0 && !/[\w\])]/.test(before)) {
      this.text = text.slice(0, image ? at - 1 : at) + text.slice(at + 1);
      this.at = image ? at - 1 : at;
    } else this.at++;
  }

  /** `[label](address` without its end reads as its label. */
  private target() {
    const { text, at } = this;
    this.at++;
    if (text[at + 1] !== "(") return;
    const end = text.indexOf(")", at);
    const begin = text.lastIndexOf("[", at);
    if (end >= 0) this.at = end + 1;
    else if (begin >= 0) {
      const from = text[begin - 1] === "!" ? begin - 1 : begin;
      this.text = text.slice(0, from) + text.slice(begin + 1, at);
      this.at = this.text.length;
    }
  }
}
