import { type ComponentChildren, Fragment, h, type VNode } from "preact";
import temml, { type MathTree } from "temml/temml.js";

const ELEMENTS = new Set(
  (
    "math merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle " +
    "msub msubsup msup mtable mtd mtext mtr munder munderover none menclose mlabeledtr"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "accent accentunder columnalign columnlines columnspacing depth dir display displaystyle fence form frame height " +
    "largeop linebreak linethickness lspace mathcolor mathbackground mathsize mathvariant maxsize minsize " +
    "movablelimits notation rowlines rowspacing rspace scriptlevel separator stretchy symmetric voffset width " +
    "columnspan rowspan"
  ).split(" "),
);
const LONGEST = 5_000;
/** How far a formula may go back in all, in em: six `\!`, or one `\LaTeX`. */
const MOST_BACK = 1;

/** TeX as MathML. What cannot be read as TeX is shown as it was written. */
export function Formula({ tex, display }: { tex: string; display: boolean }): VNode {
  const math = mathOf(tex, display);
  if (math) return math;
  return (
    <code class="gn-tex" dir="ltr">
      {tex}
    </code>
  );
}

function mathOf(tex: string, display: boolean): VNode | null {
  if (tex.length > LONGEST) return null;
  try {
    const tree = temml.__renderToMathMLTree(tex, {
      displayMode: display,
      throwOnError: true,
      trust: false,
      maxSize: [20, 20],
      maxExpand: 200,
    });
    return h(Fragment, null, vnodeOf(tree, { em: MOST_BACK }));
  } catch {
    return null;
  }
}

/** Presentation elements of MathML and their own attributes; of what is not one of these, the content. */
function vnodeOf(tree: MathTree, back: Back): ComponentChildren {
  if (tree.text !== undefined) return tree.text;
  const children = (tree.children ?? []).map((child) => vnodeOf(child, back));
  if (tree.type === undefined || !ELEMENTS.has(tree.type)) return children;
  const attributes = Object.entries(tree.attributes ?? {}).filter(([name]) => ATTRIBUTES.has(name));
  const props: Record<string, unknown> = Object.fromEntries(attributes);
  if (tree.style && Object.keys(tree.style).length > 0) props.style = safeStyle(tree.style, back);
  if (tree.classes?.length) props.class = tree.classes.map((name) => `gn-${name}`).join(" ");
  return h(tree.type, props, ...children);
}

/** What is left of the way that a formula may go back. */
interface Back {
  em: number;
}

function safeStyle(style: Record<string, unknown>, back: Back): Record<string, string> {
  const written = Object.entries(style).map(([name, value]) => [name, String(value)] as const);
  return Object.fromEntries(written.filter(([name, value]) => isSafe(name, value, back)));
}

/** Nothing in a style may fetch, nor go back over what stands before it: `\!` and the like take less than 1 em. */
function isSafe(name: string, value: string, back: Back): boolean {
  if (!/^[\w#.,%() -]*$/.test(value) || /url|image|position/i.test(name + value)) return false;
  if (!/margin/i.test(name) || !value.includes("-")) return true;
  const way = /^-(0?\.\d+)em$/.exec(value.trim())?.[1];
  if (way === undefined || Number(way) > back.em) return false;
  back.em -= Number(way);
  return true;
}
