/** The shape of a workflow version, without its handlers: what is stored, drawn and decided on. */
export interface Graph {
  workflow: string;
  version: number;
  steps: readonly { name: string; after: readonly string[] }[];
}

/** The steps that can start when the run does. */
export function firstSteps(graph: Graph): string[] {
  return graph.steps.filter((step) => step.after.length === 0).map((step) => step.name);
}

/** The steps that come right after this one. */
export function stepsAfter(graph: Graph, name: string): string[] {
  return graph.steps.filter((step) => step.after.includes(name)).map((step) => step.name);
}

/** Where a step's input comes from: a step's output, or the run's own input. */
function inputSource(graph: Graph, name: string): { step: string } | "run" {
  const before = graph.steps.find((step) => step.name === name)?.after[0];
  return before === undefined ? "run" : { step: before };
}

/** The fields of a run that may hold a step's input: the first that is there does. */
export function inputFields(graph: Graph, name: string): string[] {
  const source = inputSource(graph, name);
  return [`input:${name}`, source === "run" ? "input" : `output:${source.step}`];
}

/** `name@version`: what runs, streams and workers say to mean one version of a workflow. */
export function workflowVersion(graph: { workflow: string; version: number | string }): string {
  return `${graph.workflow}@${graph.version}`;
}
