import { startDeduped } from "./dedupe.ts";
import { firstGateKeys } from "./first-gates.ts";
import { blobOf } from "./payload.ts";
import type { ScriptRunner } from "./redis/client.ts";
import type { CheckedTerms } from "./start-options.ts";
import type { LaneStore } from "./store/lane-store.ts";
import type { StartStore } from "./store/start-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Values } from "./values.ts";
import type { Priority } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

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
  /** What runs the script that admits it. */
  via: ScriptRunner;
}

/** Stores a run, or finds the one that its terms say it is. */
export async function startRun(parts: Parts, start: Start): Promise<{ id: string; created: boolean }> {
  const { store, starts } = parts;
  const { values } = parts;
  const { tenant, id, newId, hash, payload, priority, terms, repeatable, via } = start;
  const { graph } = start.workflow;
  const { json, ...rest } = payload;
  // What is large belongs to the run, and which run it is only the deduplication says.
  const inputs = new Map<string, Promise<string>>();
  const stored = (run: string) => {
    const storing = inputs.get(run) ?? values.keep(run, tenant, "input", json);
    inputs.set(run, storing);
    return storing;
  };
  const gateKeys = await firstGateKeys(start.workflow, json);
  const admit = async (run: string) =>
    store.admit({ id: run, graph, tenant, input: await stored(run), ...rest, priority, terms, gateKeys }, via);
  await parts.lanes.open(store.partitionKeys(id), graph, priority);
  const { dedupe } = terms;
  if (dedupe === undefined || hash === undefined) return { id, created: await admit(id) };
  if (repeatable && (await starts.status(id)) !== undefined) return { id, created: false };
  const postpone = async (run: string) => {
    const { reply, was } = await starts.postpone(run, graph, dedupe, { input: await stored(run), ...rest });
    const replaced = reply === Reply.Done && was !== (await stored(run)) ? blobOf(was!) : undefined;
    if (replaced !== undefined) await values.blobs.delete(tenant, replaced);
    return reply;
  };
  return startDeduped(starts, { dedupe, hash, tenant, id, newId, admit, postpone });
}
