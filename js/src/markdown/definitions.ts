/** Link definitions such as `[label]: https://…`. */

export interface Definition {
  href: string;
  title: string;
}

export type Known = ReadonlyMap<string, Definition>;

/** What a parse finds and looks up. The first definition of a label counts. */
export class Definitions {
  readonly found = new Map<string, Definition>();
  /** Labels that were looked up, with or without success. */
  readonly asked = new Set<string>();

  constructor(private readonly earlier: Known = new Map()) {}

  /** What markdown-it takes for its table of references. */
  readonly references: Record<string, Definition> = new Proxy(
    {},
    {
      get: (_, label: string) => {
        this.asked.add(label);
        return this.earlier.get(label) ?? this.found.get(label);
      },
      set: (_, label: string, { href, title }: Definition) => {
        if (!this.earlier.has(label)) this.found.set(label, { href, title });
        return true;
      },
    },
  );

  /** All that are known after this parse. */
  get known(): Known {
    if (this.found.size === 0) return this.earlier;
    return new Map([...this.found, ...this.earlier]);
  }
}

/** The labels that lead elsewhere in `after` than in `before`. */
export function changedLabels(before: Known, after: Known): string[] {
  if (before === after) return [];
  return [...new Set([...before.keys(), ...after.keys()])].filter((label) => {
    const [old, now] = [before.get(label), after.get(label)];
    return old?.href !== now?.href || old?.title !== now?.title;
  });
}
