import { operate, parseJson } from "./operator.ts";
import type { Settings } from "./settings.ts";

export type RunsCommand =
  | { action: "delete"; ids: string[] }
  | { action: "rerun"; id: string; from: string; input?: string };

/**
 * `millrace runs`: deletes ended runs, or runs one again.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runRuns(command: RunsCommand, settings: Settings): Promise<void> {
  if (command.action === "rerun") {
    const { id, from } = command;
    const input = command.input === undefined ? undefined : parseJson("--input", command.input);
    await operate(settings, async ({ runs }) => console.log((await runs.rerun(id, { from, input })).id));
    return;
  }
  await operate(settings, async ({ runs }) => {
    for (const id of command.ids) {
      await runs.delete(id);
      console.log(`deleted ${id}`);
    }
  });
}
