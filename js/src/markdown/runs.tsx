import { Component, type ComponentChildren } from "preact";

/** So many are compared at once: enough that a list of thousands is quick to go through, few enough to render. */
const SIZE = 50;

interface Props<Node> {
  nodes: Node[];
  /** Renders one; the same function each time, or all are rendered again. */
  render: (node: Node, index: number) => ComponentChildren;
  /** The element of each run, where they may have one: the browser then lays out the last one alone. */
  within?: "tbody" | undefined;
}

/** Many nodes, of which those are rendered again whose run of neighbours changed: of a long block only the end. */
export function Runs<Node>({ nodes, render, within }: Props<Node>) {
  const runs = [];
  for (let at = 0; at < nodes.length; at += SIZE) {
    const run = nodes.slice(at, at + SIZE);
    runs.push(<Run<Node> key={at} nodes={run} render={render} within={within} />);
  }
  return <>{runs}</>;
}

class Run<Node> extends Component<Props<Node>> {
  override shouldComponentUpdate({ nodes, render }: Props<Node>): boolean {
    const before = this.props;
    return (
      render !== before.render ||
      nodes.length !== before.nodes.length ||
      nodes.some((node, i) => node !== before.nodes[i])
    );
  }

  override render({ nodes, render, within }: Props<Node>) {
    const rendered = nodes.map(render);
    return within === "tbody" ? <tbody>{rendered}</tbody> : rendered;
  }
}
