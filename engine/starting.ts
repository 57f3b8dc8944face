import { startDeduped } from "./dedupe.ts";
import { blobOf, storeValue } from "./payload.ts";
import type { CheckedTerms } from "./start-options.ts";
import type { StartStore } from "./store/start-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Values } from "./values.ts";
import type { AnyWorkflow } from "./workflow.ts";

interface Parts {
  store: Store;
  starts: StartStore;
  values: Values;
}

interface Start {
  workflow: AnyWorkflow;
  tenant: string;
  /** The id of the run, if it is to be a new one. */
  id: string;
  /** The input and the metadata as JSON. */
  payload: { json: string; metadata?: string };
  terms: CheckedTerms;
  /** The id may be that of an earlier call, whose run is there. */
  repeatable: boolean;
}

/** Stores a run, or finds the one that its terms say it is. */
export async function startRun(parts: Parts, start: Start): Promise<{ id: string; created: boolean }> {
  const { store, starts } = parts;
  const { blobs } = parts.values;
  const { tenant, id, payload, terms, repeatable } = start;
  const { graph, name: workflow } = start.workflow;
  const { json, ...rest } = payload;
  let storing: Promise<string> | undefined;
  const stored = () => {
    storing ??= storeValue(blobs, tenant, "input", json);
    return storing;
  };
  const admit = async (run: string) => store.admit({ id: run, graph, tenant, input: await stored(), ...rest, terms });
  const { dedupe } = terms;
  if (dedupe === undefined) return { id, created: await admit(id) };
  if (repeatable && (await starts.status(id)) !== undefined) return { id, created: false };
  const postpone = async (run: string) => {
    const { reply, was } = await starts.postpone(run, graph, dedupe, { input: await stored(), ...rest });
    const replaced = reply === Reply.Done && was !== (await stored()) ? blobOf(was!) : undefined;
    if (replaced !== undefined) await blobs.delete(tenant, replaced);
    return reply;
  };
  return startDeduped(starts, { dedupe, workflow, tenant, id, admit, postpone });
}
