import type { Attempt } from "./attempt.ts";
import { FatalError } from "./errors.ts";
import { unlessAway } from "./inputs.ts";
import type { Parts } from "./perform.ts";
import type { Outcome } from "./transition.ts";

/** Takes back what a step has done: its undo is given what the step was given, and what it came to. */
export async function undo(attempt: Attempt, { store, values, inputs }: Parts): Promise<Outcome> {
  const { entry, step } = attempt;
  const handler = await entry.stream.step.undo!.load();
  const input = await inputs.of(entry);
  const [stored] = await unlessAway(store.readFields(entry.run, `output:${step}`));
  if (stored == null) throw new FatalError("The output of this step is gone.", { code: "value_lost" });
  const output = await values.get(entry.tenant, stored);
  if (attempt.aborted !== undefined) throw attempt.aborted;
  await handler({ input, output }, attempt);
  if (attempt.aborted !== undefined) throw attempt.aborted;
  return { kind: "completed", output: "" };
}
