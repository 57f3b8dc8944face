import type { Attempt } from "./attempt.ts";
import type { Entry } from "./entry.ts";
import { type ErrorRecord, FatalError } from "./errors.ts";
import { firstGateKeys } from "./first-gates.ts";
import { derivedRunId, partitionOf } from "./ids.ts";
import { unlessAway, unlessFull } from "./inputs.ts";
import { encodeInput } from "./payload.ts";
import { fatal, type Parts } from "./perform.ts";
import { validate } from "./schema.ts";
import { checkTerms } from "./start-options.ts";
import { dropRefused } from "./starting.ts";
import type { ChildWork, OnFailure, Settled } from "./step.ts";
import { startInSpan } from "./tracing.ts";
import type { Outcome } from "./transition.ts";

/** Starts the run that a step, or an item, is to wait for. Safe to repeat: it is the same run each time. */
export async function startChild(
  { entry, signal, trace: from }: Attempt,
  { store, lanes, values }: Parts,
  { workflow, input: inputOf, onCancel }: ChildWork,
  input: unknown,
): Promise<Outcome> {
  const valid = await fatal("invalid_child_input", validate(workflow.input, inputOf(input), "input of the child"));
  const child = await childOf(entry, store);
  const json = encodeInput(valid, "input of the child");
  const stored = await values.keep(child, entry.tenant, "input", json);
  const detached = onCancel === "leave";
  const { graph, settings } = workflow;
  const priority = entry.stream.lane;
  await unlessFull(signal, lanes.open(store.partitionKeys(child), graph, priority));
  const gateKeys = await firstGateKeys(workflow, json);
  const of = { id: child, graph, tenant: entry.tenant, input: stored, priority, gateKeys, parent: entry, detached };
  // A child is there, or its parent waits for nothing any more: the commit says which.
  await startInSpan(workflow.name, from, async (trace) => {
    const admitted = store.admit({ ...of, terms: checkTerms({}, settings), trace });
    const created = await unlessFull(signal, admitted.catch(dropRefused(values, entry.tenant, stored)));
    return { id: child, created };
  });
  return { kind: "parked", parking: { reason: "child", child, detached } };
}

/** What the run that a step has waited for came to. */
export async function outcomeOfChild(
  { entry, step }: Attempt,
  { store, values }: Parts,
  { workflow }: ChildWork,
  onFailure: OnFailure,
): Promise<Outcome> {
  const child = await childOf(entry, store);
  const record = await unlessAway(store.readRun(child, entry.tenant));
  if (record === undefined) throw new FatalError(`The child run ${child} is gone.`, { code: "child_lost" });
  const { status, error } = record.fields;
  const completed = async (value: unknown): Promise<Outcome> => ({
    kind: "completed",
    output: await values.put(entry, step, value),
  });
  if (status === "completed") {
    const output = (await values.output(entry.tenant, workflow.graph, record.fields)) ?? null;
    return completed(onFailure === "collect" ? ({ ok: true, output } satisfies Settled<unknown>) : output);
  }
  const cause = error === undefined ? undefined : errorOf(JSON.parse(error));
  const message = `The child run ${child} ${status === "failed" ? "failed" : `was ${status}`}${cause ? `: ${cause.message}` : ""}`;
  const code = status === "cancelled" ? "child_cancelled" : "child_failed";
  if (onFailure === "fail") throw new FatalError(message, { code, cause });
  return completed({ ok: false, error: { name: "FatalError", message, code } } satisfies Settled<unknown>);
}

/** An error as another run has recorded it. */
function errorOf({ stack: _stack, message, ...rest }: ErrorRecord): Error {
  return Object.assign(new Error(message), rest);
}

/** The id of the run that a step waits for: the same at every attempt, another after each replay of its run. */
async function childOf({ run, item, stream }: Entry, store: Parts["store"]): Promise<string> {
  const [replays] = await unlessAway(store.readFields(run, "replays"));
  return derivedRunId(partitionOf(run) ?? 0, [run, stream.step.name, item ?? "", replays ?? 0]);
}
