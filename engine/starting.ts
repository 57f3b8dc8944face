import { startDeduped } from "./dedupe.ts";
import { MillraceError } from "./errors.ts";
import { firstGateKeys } from "./first-gates.ts";
import { logger } from "./log.ts";
import type { ScriptRunner } from "./redis/client.ts";
import type { CheckedTerms } from "./start-options.ts";
import type { LaneStore } from "./store/lane-store.ts";
import type { StartStore } from "./store/start-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Values } from "./values.ts";
import type { Priority } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

const log = logger("starting");

interface Parts {
  store: Store;
  starts: StartStore;
  values: Values;
  lanes: LaneStore;
}

interface Start {
  workflow: AnyWorkflow;
  tenant: string;
  /** The id of the run, if it is to be a new one. */
  id: string;
  /** Another one, in a partition that fits. */
  newId(): string;
  /** The digest of its deduplication's key, if it has one. */
  hash: string | undefined;
  /** The input and the metadata as JSON. */
  payload: { json: string; metadata?: string };
  priority: Priority;
  terms: CheckedTerms;
  /** The id may be that of an earlier call, whose run is there. */
  repeatable: boolean;
  /** The trace that it is of, as Redis holds it. */
  trace: string | undefined;
  /** What runs the script that admits it. */
  via: ScriptRunner;
}

/** Stores a run, or finds the one that its terms say it is. */
export async function startRun(parts: Parts, start: Start): Promise<{ id: string; created: boolean }> {
  const { store, starts } = parts;
  const { values } = parts;
  const { tenant, id, newId, hash, payload, priority, terms, repeatable, trace, via } = start;
  const { graph } = start.workflow;
  const { json, ...rest } = payload;
  // What is large belongs to the run, and which run it is only the deduplication says.
  const inputs = new Map<string, string | Promise<string>>();
  const stored = (run: string) => {
    const storing = inputs.get(run) ?? values.keep(run, tenant, "input", json);
    inputs.set(run, storing);
    return storing;
  };
  const gateKeys = await firstGateKeys(start.workflow, json);
  const admit = async (run: string) => {
    const input = await stored(run);
    const admission = { id: run, graph, tenant, input, ...rest, priority, terms, gateKeys, trace };
    return store.admit(admission, via).catch(dropRefused(values, tenant, input));
  };
  await parts.lanes.open(store.partitionKeys(id), graph, priority);
  const { dedupe } = terms;
  if (dedupe === undefined || hash === undefined) return { id, created: await admit(id) };
  if (repeatable && (await starts.status(id)) !== undefined) return { id, created: false };
  const postpone = async (run: string) => {
    const { reply, was } = await starts.postpone(run, graph, dedupe, { input: await stored(run), ...rest });
    if (reply === Reply.Done && was !== (await stored(run))) await values.drop(tenant, was!);
    return reply;
  };
  return startDeduped(starts, { dedupe, hash, tenant, id, newId, admit, postpone });
}

/**
 * What is done when a run is not admitted: its input is dropped if Redis has said no, since the run that it belongs to may never
 * be there. Where there was no answer the run may be.
 */
export function dropRefused(values: Values, tenant: string, input: string): (error: unknown) => Promise<never> {
  return async (error) => {
    if (wasRefused(error))
      await values.drop(tenant, input).catch((trouble) => log.warn("an input is left behind: {trouble}", { trouble }));
    throw error;
  };
}

/** Whether a script wrote nothing, for certain: for lack of memory, or because a key is of another type. */
function wasRefused(error: unknown): boolean {
  if (!(error instanceof MillraceError)) return false;
  return error.code === "wrong_type" || (error.cause instanceof Error && /^OOM\b/.test(error.cause.message));
}
