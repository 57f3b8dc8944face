import { Graph, layout } from "@dagrejs/dagre";

/** A step of a workflow's definition. */
export interface GraphStep {
  name: string;
  after: readonly string[];
  kind?: string;
  when?: true;
}

export interface Box {
  name: string;
  x: number;
  y: number;
}

export interface Drawn {
  boxes: Box[];
  /** Each as the path of an SVG, and the step that it comes from. */
  lines: { from: string; to: string; path: string }[];
  width: number;
  height: number;
}

export const BOX = { width: 168, height: 58 };
const MARGIN = 8;

/** Where the steps and the lines between them go. @param isTall from the top down, and not from left to right */
export function drawn(steps: readonly GraphStep[], isTall: boolean): Drawn {
  if (steps.length === 0) return { boxes: [], lines: [], width: 0, height: 0 };
  const graph = new Graph();
  graph.setGraph({
    rankdir: isTall ? "TB" : "LR",
    nodesep: 22,
    ranksep: isTall ? 30 : 46,
    marginx: MARGIN,
    marginy: MARGIN,
  });
  graph.setDefaultEdgeLabel(() => ({}));
  const names = new Set(steps.map(({ name }) => name));
  for (const { name } of steps) graph.setNode(name, { ...BOX });
  for (const { name, after } of steps) for (const from of after) if (names.has(from)) graph.setEdge(from, name);
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    boxes: steps.map(({ name }) => {
      const { x, y } = graph.node(name) as { x: number; y: number };
      return { name, x: x - BOX.width / 2, y: y - BOX.height / 2 };
    }),
    lines: graph.edges().map(({ v: from, w: to }: { v: string; w: string }) => ({
      ...{ from, to },
      path: smooth((graph.edge({ v: from, w: to }) as { points: Point[] }).points),
    })),
    ...{ width, height },
  };
}

interface Point {
  x: number;
  y: number;
}

/** A curve through the middle of each stretch, with the points between as its handles. */
function smooth(points: readonly Point[]): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let path = `M${at(first)}`;
  for (let i = 0; i < rest.length - 1; i += 1) {
    const [handle, next] = [rest[i]!, rest[i + 1]!];
    const end = i === rest.length - 2 ? next : { x: (handle.x + next.x) / 2, y: (handle.y + next.y) / 2 };
    path += `Q${at(handle)} ${at(end)}`;
  }
  return rest.length === 1 ? `${path}L${at(rest[0]!)}` : path;
}

function at({ x, y }: Point): string {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}
