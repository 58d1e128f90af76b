import { changedLabels, Definitions, type Known } from "./definitions";
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

/**
 * The syntax tree of a text that grows at its end, at the cost of what is new.
 *
 * A block is settled when a line that is complete begins the next one: no later text can change it, but for a
 * definition that one of its links waits for. Only what follows the settled blocks is parsed again. At every
 * moment the tree is that of the whole text (while `streaming`, of the whole text with its end made whole).
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
  private open: Block[] = [];
  private known: Known = new Map();
  private memory = new Map<string, Inline[]>();

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
    this.readOpen(streaming);
  }

  private clear() {
    this.settled = [];
    this.settledDefinitions = this.known = new Map();
    this.restart = this.lookedAt = 0;
    this.open = [];
    this.memory.clear();
  }

  private settle() {
    const complete = this.text.lastIndexOf("\n") + 1;
    if (complete <= this.lookedAt) return;
    this.lookedAt = complete;
    const lines = this.text.slice(this.restart, complete);
    const last = this.parse(lines, new Definitions(this.settledDefinitions)).at(-2);
    if (!last) return;
    const source = firstLines(lines, last.to);
    const definitions = new Definitions(this.settledDefinitions);
    const blocks = this.parse(source, definitions);
    this.settledDefinitions = definitions.known;
    for (const block of blocks) {
      this.settled.push(this.read(this.settled.length, block, linesOf(source, block)));
    }
    this.restart += source.length;
  }

  private readOpen(streaming: boolean) {
    const rest = this.text.slice(this.restart);
    const definitions = new Definitions(this.settledDefinitions);
    let blocks = this.parse(rest, definitions);
    if (streaming) blocks = healBlocks(blocks, rest, (s) => this.parse(s, definitions));
    this.learn(definitions.known);
    const remembered = this.memory;
    this.memory = new Map();
    const inline = (content: string) => {
      const nodes =
        this.memory.get(content) ?? remembered.get(content) ?? this.inline(content, this.known);
      this.memory.set(content, nodes);
      return nodes;
    };
    const nodes = blocks.map((block) => readBlock(block, inline));
    this.open = nodes.map((node, i) => share(this.open[i], node));
  }

  /** Reads again what waited for a definition that is now known, or known otherwise. */
  private learn(known: Known) {
    const changed = new Set(changedLabels(this.known, known));
    this.known = known;
    if (changed.size === 0) return;
    this.memory.clear();
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

function firstLines(text: string, count: number): string {
  let end = 0;
  for (let line = 0; line < count; line++) end = text.indexOf("\n", end) + 1 || text.length;
  return text.slice(0, end);
}

function linesOf(text: string, { from, to }: Parsed): string {
  return firstLines(text, to).slice(firstLines(text, from).length);
}
