import type { AnyWorkflow } from "../engine/index.ts";
import { UsageError } from "./errors.ts";

/**
 * Which steps a worker serves, from `--steps`: a comma list of `step` (in every workflow that has it), `workflow/step`
 * and `workflow/*`.
 *
 * @throws UsageError for an item that names nothing
 */
export function parseSteps(
  list: string,
  definitions: readonly AnyWorkflow[],
): (workflow: string, step: string) => boolean {
  const all = definitions.flatMap(({ name, steps }) => steps.map((step) => ({ workflow: name, step: step.name })));
  const items = list.split(",").map((item) => item.trim());
  for (const item of items) {
    if (!all.some((each) => matches(item, each.workflow, each.step)))
      throw new UsageError(`--steps: there is no step ${JSON.stringify(item)}. There are: ${namesOf(all)}.`);
  }
  return (workflow, step) => items.some((item) => matches(item, workflow, step));
}

function matches(item: string, workflow: string, step: string): boolean {
  return item === step || item === `${workflow}/${step}` || item === `${workflow}/*`;
}

function namesOf(all: readonly { workflow: string; step: string }[]): string {
  return [...new Set(all.map(({ workflow, step }) => `${workflow}/${step}`))].join(", ");
}
