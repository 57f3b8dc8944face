import { hexDigest, ID_PATTERN, NAME_PATTERN, NotFoundError } from "../engine/index.ts";
import { type Caller, demandRun } from "./access/caller.ts";
import type { Gateway } from "./context.ts";
import { checkId } from "./ids.ts";

/** A signal as a caller sends it, over whichever protocol. */
export interface SentSignal {
  run: string;
  /** Of the step that waits for it. */
  name: string;
  /** What it brings, as JSON holds it; without any, null. */
  data?: unknown;
  /** The same signal with the same key counts once. 1 to 255 printable ASCII characters. */
  idempotencyKey?: string | undefined;
}

/**
 * Hands a signal to a run, for a caller who may send signals.
 *
 * @throws NotFoundError if there is no such run for this caller, or nothing in it that takes such a signal
 * @throws ConflictError `run_ended`, or `signal_settled` if another came first or the wait is over
 * @throws InvalidInputError if the step does not take what it brings
 */
export async function sendSignal(
  { millrace }: Gateway,
  caller: Caller,
  { run, name, data, idempotencyKey }: SentSignal,
): Promise<void> {
  const { tenant } = caller;
  checkId(run, "run");
  if (!caller.seesAll) demandRun(caller, await millrace.runs.summary(run, { tenant }));
  if (!NAME_PATTERN.test(name)) throw new NotFoundError("signal", name.slice(0, 48));
  const same = idempotencyKey === undefined ? {} : { key: await signalKey(idempotencyKey) };
  await millrace.runs.signal(run, name, data, { tenant, ...same });
}

/** A signal's key is an id; whatever else was given is told apart by its digest. */
async function signalKey(given: string): Promise<string> {
  return ID_PATTERN.test(given) ? given : hexDigest("SHA-256", given);
}
