import { hexDigest } from "./digest.ts";
import { DefinitionError, InvalidInputError } from "./errors.ts";
import { type Graph, workflowVersion } from "./graph.ts";
import { checkPartitioned } from "./limits.ts";
import type { Partitions } from "./partitions.ts";
import type { CheckedTerms } from "./start-options.ts";
import { isKey, KEY_RULE } from "./user-key.ts";
import type { AnyWorkflow } from "./workflow.ts";

/**
 * The digest by which a deduplication's key is found. A run that waits takes an input of its own version alone, so while two
 * versions are started side by side, each has its own to debounce.
 */
export function dedupeHash(graph: Graph, { key, mode }: NonNullable<CheckedTerms["dedupe"]>): Promise<string> {
  const workflow = mode === "debounce" ? workflowVersion(graph) : graph.workflow;
  return hexDigest("SHA-256", `${workflow}\n${mode}\n${key}`);
}

/**
 * Gives ids of new runs: in the partition of their deduplication's key, in that of what the workflow spreads them by, or in
 * any.
 *
 * @param json the run's input
 * @throws InvalidInputError for an input that cannot be spread by
 */
export function newIds(
  partitions: Partitions,
  { settings: { partitionBy } }: AnyWorkflow,
  json: string,
  hash: string | undefined,
): () => string {
  if (partitions.count === 1) return () => partitions.newRunId();
  if (hash !== undefined && partitionBy !== undefined)
    throw invalid("dedupe", "A workflow with partitionBy takes no dedupe where there are several partitions");
  const key = hash ?? partitionBy?.(JSON.parse(json));
  if (key !== undefined && !isKey(key)) throw invalid("input", `What partitionBy gives must be ${KEY_RULE}`);
  return () => partitions.newRunId(key);
}

/**
 * Checks that definitions go together with so many partitions.
 *
 * @throws DefinitionError
 */
export function checkSpread(definitions: readonly AnyWorkflow[], partitions: number): void {
  if (partitions === 1) return;
  for (const { name, steps, settings } of definitions) {
    const isPartitioned = settings.partitionBy !== undefined;
    for (const step of steps) {
      const where = `Workflow ${JSON.stringify(name)}: step ${JSON.stringify(step.name)}`;
      if (step.limits !== undefined) checkPartitioned(where, step.limits, isPartitioned, partitions);
      const child = "child" in step.work ? step.work.child?.workflow : undefined;
      if (child?.settings.partitionBy !== undefined && !isPartitioned)
        throw new DefinitionError(
          `${where} starts ${JSON.stringify(child.name)}, which has partitionBy: child runs are in the partition of their ` +
            `parent, so ${JSON.stringify(name)} needs partitionBy as well`,
        );
    }
  }
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${message}.`, [{ path: [path], message }]);
}
