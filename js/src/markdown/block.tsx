import { Component, h, type VNode } from "preact";
import { CodeBlock } from "./code-block";
import { directionOf } from "./direction";
import { Formula } from "./formula";
import { Inlines } from "./inline";
import { Runs } from "./runs";
import type * as syntax from "./syntax";

/** Renders when its node is another one, and not otherwise: see `share`. */
abstract class Memo<Node> extends Component<{ node: Node }> {
  override shouldComponentUpdate(next: { node: Node }): boolean {
    return next.node !== this.props.node;
  }
}

export class Block extends Memo<syntax.Block> {
  override render({ node }: { node: syntax.Block }): VNode {
    switch (node.type) {
      case "paragraph":
        return (
          <p dir="auto">
            <Inlines nodes={node.children} />
          </p>
        );
      case "heading":
        // The page has headings of its own above these.
        return h(
          `h${Math.min(6, node.level + 2)}`,
          { class: `gn-h${node.level}`, dir: "auto" },
          <Inlines nodes={node.children} />,
        );
      case "quote":
        return (
          <blockquote dir={directionOf(node)}>
            <Blocks nodes={node.children} />
          </blockquote>
        );
      case "list":
        return <List list={node} />;
      case "fence":
        return <CodeBlock code={node.text} language={node.language} />;
      case "formula":
        return <FormulaBlock formula={node} />;
      case "table":
        return <Table table={node} />;
      case "rule":
        return <hr />;
    }
  }
}

export function Blocks({ nodes }: { nodes: syntax.Block[] }) {
  return (
    <>
      {nodes.map((node, i) => (
        <Block key={i} node={node} />
      ))}
    </>
  );
}

function List({ list }: { list: syntax.List }) {
  const tasks = list.children.some((item) => item.checked !== null);
  const props = {
    dir: directionOf(list),
    class: `gn-list${list.tight ? " gn-tight" : ""}${tasks ? " gn-tasks" : ""}`,
    ...(list.ordered && list.start !== 1 ? { start: list.start } : {}),
  };
  const items = <Runs nodes={list.children} render={itemOf} />;
  return h(list.ordered ? "ol" : "ul", props, items);
}

function itemOf(item: syntax.Item, i: number) {
  return <Item key={i} node={item} />;
}

class Item extends Memo<syntax.Item> {
  override render({ node }: { node: syntax.Item }) {
    const { checked } = node;
    return (
      <li>
        {checked !== null && (
          <input
            type="checkbox"
            class="gn-task"
            checked={checked}
            disabled
            aria-label={checked ? "Done" : "To do"}
          />
        )}
        <Blocks nodes={node.children} />
      </li>
    );
  }
}

function FormulaBlock({ formula: { text, closed } }: { formula: syntax.Formula }) {
  return (
    <div class="gn-formula" dir="ltr">
      {closed ? <Formula tex={text} display /> : <code class="gn-tex">{text}</code>}
    </div>
  );
}

class Table extends Component<{ table: syntax.Table }> {
  private align: syntax.Align[] | null = null;
  private row: (row: syntax.Row, i: number) => VNode = () => <tr />;

  /** Another function when the columns are aligned otherwise, and so all rows are rendered again. */
  private rowOf(align: syntax.Align[]) {
    if (align !== this.align) {
      this.align = align;
      this.row = (row, i) => <Row key={i} node={row} align={align} />;
    }
    return this.row;
  }

  override render({ table }: { table: syntax.Table }) {
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      <div class="gn-table" role="group" aria-label="Table" tabIndex={0}>
        <table dir={directionOf(table)}>
          <thead>
            <Row node={table.head} align={table.align} head />
          </thead>
          <Runs nodes={table.children} render={this.rowOf(table.align)} within="tbody" />
        </table>
      </div>
    );
  }
}

class Row extends Component<{ node: syntax.Row; align: syntax.Align[]; head?: boolean }> {
  override shouldComponentUpdate(next: { node: syntax.Row; align: syntax.Align[] }): boolean {
    return next.node !== this.props.node || next.align !== this.props.align;
  }

  override render({
    node,
    align,
    head,
  }: {
    node: syntax.Row;
    align: syntax.Align[];
    head?: boolean;
  }) {
    const cells = node.cells.map((cell, i) => {
      const style = align[i] ? { textAlign: align[i] } : undefined;
      const props = head ? { scope: "col" } : {};
      return h(head ? "th" : "td", { ...props, dir: "auto", style }, <Inlines nodes={cell} />);
    });
    return <tr>{cells}</tr>;
  }
}
