/** Temml's source entry: its bundle has 10 kB of chemistry besides. */
declare module "temml/temml.js" {
  export interface MathTree {
    type?: string;
    text?: string;
    attributes?: Record<string, unknown>;
    classes?: string[];
    style?: Record<string, unknown>;
    children?: MathTree[];
  }

  interface Options {
    displayMode?: boolean;
    throwOnError?: boolean;
    trust?: boolean;
    strict?: boolean;
    maxSize?: [number, number];
    maxExpand?: number;
  }

  const temml: { __renderToMathMLTree(tex: string, options: Options): MathTree };
  export default temml;
}
