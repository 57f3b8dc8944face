import { type Graph, inputFields } from "./graph.ts";
import { validate } from "./schema.ts";
import type { AnyWorkflow } from "./workflow.ts";

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
  const definition = definitions.find(({ name, version }) => name === graph.workflow && version === graph.version);
  return definition === undefined ? input : validate(definition.input, input, "input");
}
