import { ConflictError, NotFoundError } from "./errors.ts";
import { workflowVersion } from "./graph.ts";
import type { Namespace } from "./namespace.ts";
import type { Records } from "./records.ts";
import type { VersionStore } from "./store/version-store.ts";
import { Reply, type Store } from "./store.ts";
import { hasLiveRuns, liveWorkers } from "./versions.ts";

export interface RetireParts {
  store: Store;
  records: Records;
  space: Namespace;
  /** One for each partition. */
  versions: readonly VersionStore[];
}

/** Forgets a version that is done with. Its contract is in `VersionsApi.retireVersion`. */
export async function retireVersion(parts: RetireParts, workflow: string, version: number): Promise<void> {
  const { store, records, space, versions } = parts;
  const name = workflowVersion({ workflow, version });
  const listed = (await space.graphs()).filter((graph) => graph.workflow === workflow);
  // One that is retired is gone through again: its streams may not have been deleted then.
  const graph = listed.find((each) => each.version === version) ?? (await space.graph(name));
  if (graph === undefined) throw new NotFoundError("workflow version", name);
  if (listed.includes(graph) && listed.every((each) => each.version <= version))
    throw new ConflictError("version_current", `${name} is the newest version: runs are started on it.`);

  const streams = store.allPartitions.flatMap((keys) => graph.steps.map((step) => keys.step(graph, step.name)));
  const serving = (await liveWorkers(store, records)).filter((each) =>
    each.streams.some((key) => streams.includes(key)),
  );
  if (serving.length > 0)
    throw new ConflictError(
      "version_served",
      `${name} is served by live workers (${serving.length}). Stop them first.`,
    );
  for (const tenant of await space.tenants()) if (await hasLiveRuns(store, records, tenant, name)) throw isLive(name);
  const letters = await Promise.all(versions.map((each) => each.deadLetters(graph)));
  if (letters.some((count) => count > 0))
    throw new ConflictError("version_dead_letters", `${name} has dead letters. Replay or discard them first.`);

  // First the graph, so that no process without the definition starts or moves anything to what is being deleted.
  await space.retire(graph);
  const replies = await Promise.all(versions.map((each) => each.retire(graph)));
  if (replies.includes(Reply.Stale)) {
    await space.bringBack(graph);
    throw isLive(name);
  }
  if (replies.includes(Reply.WrongType))
    throw new ConflictError("wrong_type", `A key of ${name} holds another type than Millrace keeps there.`);
}

function isLive(name: string): ConflictError {
  return new ConflictError("version_live", `${name} has runs that have not ended. Wait for them, or migrate them.`);
}
