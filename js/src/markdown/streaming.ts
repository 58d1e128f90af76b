import { changedLabels, Definitions, type Known } from "./definitions";
import {
  type Cut,
  cutLines,
  cutWords,
  joined,
  joinedText,
  LONG,
  mayContinue,
  offsetOf,
} from "./finished";
import { healBlocks } from "./heal";
import { normalized, type Parsed, parseBlocks, readBlock, readInline } from "./parser";
import { share } from "./share";
import type { Block, Inline } from "./syntax";

/** A block at the top level. Its node is the same object for as long as it reads the same. */
export interface Entry {
  key: number;
  node: Block;
}

interface Settled extends Entry {
  source: string;
  /** Labels that it refers to: when one becomes known, the block reads differently. */
  asked: readonly string[];
}

/** What is final of the first block that is not settled, and the text that it was read from. */
interface Part {
  node: Block;
  asked: readonly string[];
  /** Where the text that follows it begins, and what that needs before it to read as the same block. */
  end: number;
  prefix: string;
}

/**
 * The syntax tree of a text that grows at its end, at the cost of what is new.
 *
 * A block is settled when a line that is complete begins the next one: no later text can change it, but for a
 * definition that one of its links waits for. Only what follows the settled blocks is parsed again; and of a long
 * block among it, only what follows the part that is final: see `finished`. At every moment the tree is that of the whole text (while `streaming`, of the whole text with its end made whole).
 */
export class StreamingDocument {
  /** How much was done: for tests and measurements. */
  readonly work = { parsedCharacters: 0, readBlocks: 0, readInlines: 0 };

  private text = "";
  private settled: Settled[] = [];
  private settledDefinitions: Known = new Map();
  /** Where the first block that is not settled begins. */
  private restart = 0;
  /** Up to where a block to settle was looked for. */
  private lookedAt = 0;
  private part: Part | null = null;
  /** How long the rest is when a part of it is next looked for. */
  private cutAt: number;
  private open: Block[] = [];
  private known: Known = new Map();
  private memory = new Map<string, Inline[]>();

  /** A block of more than `long` characters is looked at for a part that is final. */
  constructor(private readonly long = LONG) {
    this.cutAt = long;
  }

  get entries(): Entry[] {
    const first = this.settled.length;
    return [...this.settled, ...this.open.map((node, i) => ({ key: first + i, node }))];
  }

  get settledCount(): number {
    return this.settled.length;
  }

  /** Takes the text as it is now. One that does not continue the last one begins anew. */
  update(text: string, streaming = false) {
    const source = normalized(text);
    if (!source.startsWith(this.text)) this.clear();
    this.text = source;
    this.settle();
    if (this.rest().length > this.cutAt) this.cut();
    this.readOpen(streaming);
  }

  /** What is parsed again: all that is not settled, without the part that is final. */
  private rest(): string {
    const { part, restart, text } = this;
    return part ? part.prefix + text.slice(part.end) : text.slice(restart);
  }

  private clear() {
    this.settled = [];
    this.settledDefinitions = this.known = new Map();
    this.restart = this.lookedAt = 0;
    this.uncut(this.long);
    this.open = [];
    this.memory.clear();
  }

  private settle() {
    const complete = this.text.lastIndexOf("\n") + 1;
    if (complete <= this.lookedAt) return;
    this.lookedAt = complete;
    const lines = completeLines(this.rest());
    const blocks = this.parse(lines, new Definitions(this.settledDefinitions));
    const last = blocks.at(-2);
    if (!last || mayContinue(last, blocks.at(-1))) return;
    const source = firstLines(lines, last.to);
    const definitions = new Definitions(this.settledDefinitions);
    const settled = this.parse(source, definitions).map((block, i) => {
      const entry = this.read(this.settled.length + i, block, linesOf(source, block));
      return i === 0 ? this.withPart(entry, block.to, source) : entry;
    });
    if (settled.includes(null)) {
      this.uncut(Number.POSITIVE_INFINITY);
      this.lookedAt = 0;
      this.settle();
      return;
    }
    this.settledDefinitions = definitions.known;
    this.settled.push(...settled.filter((entry) => entry !== null));
    const { prefix, end } = this.part ?? { prefix: "", end: this.restart };
    this.restart = end + source.length - prefix.length;
    this.uncut(this.long);
  }

  /** The first block with the part of it that was read before; null if that was wrong. */
  private withPart(entry: Settled, lines: number, source: string): Settled | null {
    const { part } = this;
    if (!part) return entry;
    const node = joined(part.node, entry.node);
    if (!node) return null;
    const rest = firstLines(source, lines).slice(part.prefix.length);
    const whole = this.text.slice(this.restart, part.end) + rest;
    return { ...entry, node, source: whole, asked: [...part.asked, ...entry.asked] };
  }

  /** Takes what is final of the open block out of what is parsed again. */
  private cut() {
    const rest = this.rest();
    const lines = completeLines(rest);
    this.cutAt = 2 * rest.length;
    const before = () => new Definitions(this.settledDefinitions);
    const whole = this.parse(lines || rest, before());
    const [block] = whole;
    if (!block || whole.length > 1) return;
    let cut = cutLines(block, lines);
    if (!cut) {
      const [paragraph, next] = this.parse(rest, before());
      const inline = (content: string) => this.inline(content, this.known);
      if (paragraph && !next) cut = cutWords(paragraph, rest, inline);
    }
    if (cut) this.finish(cut, rest, block);
  }

  private finish({ end, prefix }: Cut, rest: string, block: Parsed) {
    const definitions = new Definitions(this.settledDefinitions);
    const [finished, other] = this.parse(rest.slice(0, end), definitions);
    if (!finished || other) return;
    const read = this.read(0, finished, "");
    // Whether a list is tight also depends on what is between its items.
    const between = readBlock(block, () => []);
    if (read.node.type === "list" && between.type === "list" && !between.tight)
      read.node.tight = false;
    // A paragraph is cut after a space, which ends none.
    if (read.node.type === "paragraph") read.node.children = joinedText(read.node.children, [" "]);
    const { part } = this;
    const node = part ? joined(part.node, read.node) : read.node;
    if (!node) return this.uncut(Number.POSITIVE_INFINITY);
    this.settledDefinitions = definitions.known;
    this.part = {
      node: share(this.open[0], node),
      asked: [...(part?.asked ?? []), ...read.asked],
      end: (part?.end ?? this.restart) + end - (part?.prefix.length ?? 0),
      prefix,
    };
    this.cutAt = this.rest().length + this.long;
  }

  private uncut(cutAt: number) {
    this.part = null;
    this.cutAt = cutAt;
  }

  private readOpen(streaming: boolean) {
    const rest = this.rest();
    const definitions = new Definitions(this.settledDefinitions);
    let blocks = this.parse(rest, definitions);
    if (streaming) blocks = healBlocks(blocks, rest, (s) => this.parse(s, definitions));
    const { part } = this;
    this.learn(definitions.known);
    if (part !== this.part) {
      this.readOpen(streaming);
      return;
    }
    const remembered = this.memory;
    this.memory = new Map();
    const inline = (content: string) => {
      const nodes =
        this.memory.get(content) ?? remembered.get(content) ?? this.inline(content, this.known);
      this.memory.set(content, nodes);
      return nodes;
    };
    const nodes = blocks.map((block) => readBlock(block, inline));
    if (this.part) {
      const first = nodes[0] && joined(this.part.node, nodes[0]);
      if (!first) {
        this.uncut(Number.POSITIVE_INFINITY);
        this.readOpen(streaming);
        return;
      }
      nodes[0] = first;
    }
    this.open = nodes.map((node, i) => share(this.open[i], node));
  }

  /** Reads again what waited for a definition that is now known, or known otherwise. */
  private learn(known: Known) {
    const changed = new Set(changedLabels(this.known, known));
    this.known = known;
    if (changed.size === 0) return;
    this.memory.clear();
    if (this.part?.asked.some((label) => changed.has(label))) this.uncut(Number.POSITIVE_INFINITY);
    this.settled = this.settled.map((entry) => {
      if (!entry.asked.some((label) => changed.has(label))) return entry;
      const [block] = this.parse(entry.source, new Definitions(known));
      return block ? this.read(entry.key, block, entry.source) : entry;
    });
  }

  private read(key: number, block: Parsed, source: string): Settled {
    this.work.readBlocks++;
    const asked = new Set<string>();
    const node = readBlock(block, (content) => this.inline(content, this.known, asked));
    return { key, node, source, asked: [...asked] };
  }

  private inline(content: string, known: Known, asked?: Set<string>): Inline[] {
    this.work.readInlines++;
    const definitions = new Definitions(known);
    const nodes = readInline(content, definitions);
    for (const label of definitions.asked) asked?.add(label);
    return nodes;
  }

  private parse(source: string, definitions: Definitions): Parsed[] {
    this.work.parsedCharacters += source.length;
    return parseBlocks(source, definitions);
  }
}

function completeLines(text: string): string {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}

function firstLines(text: string, count: number): string {
  return text.slice(0, offsetOf(text, count));
}

function linesOf(text: string, { from, to }: Parsed): string {
  return firstLines(text, to).slice(firstLines(text, from).length);
}
