import { type Graph, inputFields } from "./graph.ts";
import { validate } from "./schema.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** The definition of a workflow version, if this process has it. */
export function definitionOf(definitions: readonly AnyWorkflow[], graph: Graph): AnyWorkflow | undefined {
  return definitions.find(({ name, version }) => name === graph.workflow && version === graph.version);
}

/**
 * A changed input of a step: for one that takes the run's input, what the workflow's schema makes of it, if this process
 * has the definition. Other steps have no schema.
 *
 * @throws InvalidInputError
 */
export async function validInput(
  definitions: readonly AnyWorkflow[],
  graph: Graph,
  step: string,
  input: unknown,
): Promise<unknown> {
  if (!inputFields(graph, step).includes("input")) return input;
  const definition = definitionOf(definitions, graph);
  return definition === undefined ? input : validate(definition.input, input, "input");
}
