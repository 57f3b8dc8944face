import type { Graph } from "./graph.ts";
import { workflowVersion } from "./graph.ts";
import type { PartitionKeys } from "./keys.ts";
import { isAlive } from "./read-health.ts";
import type { Records, WorkerInfo } from "./records.ts";
import type { Store } from "./store.ts";
import type { VersionView } from "./versions-api.ts";
import type { QueueView, RunView } from "./views.ts";

/** What the statuses of a run that has not ended are. */
export const LIVE_STATUSES = ["queued", "running", "waiting"] as const;

/** So many live runs of a tenant are looked at in each status, the oldest first: those of old versions are among them. */
const LOOKED_AT = 5_000;
const PAGE = 1_000;

export interface VersionsParts {
  store: Store;
  records: Records;
  graphs(): Promise<Graph[]>;
  queues(): Promise<QueueView[]>;
}

/** Every version, the newest of each workflow first, with who serves it and how much of it is live. */
export async function versionsOf(
  { store, records, graphs, queues }: VersionsParts,
  { workflow, tenant }: { workflow?: string | undefined; tenant: string },
): Promise<VersionView[]> {
  const [all, queued, workers, live] = await Promise.all([
    graphs(),
    queues(),
    liveWorkers(store, records),
    liveRuns(store, records, tenant),
  ]);
  const wanted = all.filter((graph) => workflow === undefined || graph.workflow === workflow);
  wanted.sort((a, b) => (a.workflow === b.workflow ? b.version - a.version : a.workflow < b.workflow ? -1 : 1));
  return wanted.map((graph, i) => {
    const id = workflowVersion(graph);
    const streams = new Map(graph.steps.map(({ name }) => [name, store.allPartitions.map((k) => k.step(graph, name))]));
    const serves = (worker: WorkerInfo, step: string) => streams.get(step)!.some((key) => worker.streams.includes(key));
    const serving = workers.filter((worker) => graph.steps.some(({ name }) => serves(worker, name)));
    const runs = live.counts.get(id) ?? { queued: 0, running: 0, waiting: 0 };
    const total = runs.queued + runs.running + runs.waiting;
    return {
      workflow: graph.workflow,
      version: graph.version,
      current: wanted[i - 1]?.workflow !== graph.workflow,
      steps: graph.steps,
      workers: serving.length,
      unserved: graph.steps.map(({ name }) => name).filter((name) => !serving.some((worker) => serves(worker, name))),
      runs,
      more: live.more,
      stranded:
        (total > 0 && serving.length === 0) || strandedWork(queued).some((each) => workflowVersion(each) === id),
    };
  });
}

/** Work of a version at steps that no live worker serves. */
export interface StrandedWork {
  workflow: string;
  version: number;
  steps: string[];
  entries: number;
}

/** What waits in queues that no live worker serves, by version. */
export function strandedWork(queues: readonly QueueView[]): StrandedWork[] {
  const found = new Map<string, StrandedWork>();
  for (const { workflow, version, step, depth, inFlight, delayed, workers } of queues) {
    const entries = depth + inFlight + delayed;
    if (workers > 0 || entries === 0) continue;
    const id = workflowVersion({ workflow, version });
    const work = found.get(id) ?? { workflow, version, steps: [], entries: 0 };
    work.steps.push(step);
    work.entries += entries;
    found.set(id, work);
  }
  return [...found.values()];
}

/** Says of steps that are queued or running, and that no live worker serves, that they wait for one. */
export async function explainUnserved(
  view: RunView,
  graph: Graph,
  records: Records,
  keys: PartitionKeys,
): Promise<void> {
  const steps = Object.entries(view.steps).filter(([, { status }]) => status === "queued" || status === "running");
  if (steps.length === 0) return;
  const served = new Set((await records.workers(keys)).filter(isAlive).flatMap((worker) => worker.streams));
  for (const [name, step] of steps) {
    if (!served.has(keys.step(graph, name))) step.waitingFor = { reason: "worker" };
  }
}

/** Whether a tenant has a live run of a version: it looks at all of them, until it finds one. */
export async function hasLiveRuns(store: Store, records: Records, tenant: string, version: string): Promise<boolean> {
  for await (const { versions } of livePages(store, records, tenant, Number.POSITIVE_INFINITY))
    if (versions.includes(version)) return true;
  return false;
}

/** Workers that were heard of lately, each once. */
export async function liveWorkers(store: Store, records: Records): Promise<WorkerInfo[]> {
  const listed = await Promise.all(store.allPartitions.map((keys) => records.workers(keys)));
  const byName = new Map<string, WorkerInfo>();
  for (const worker of listed.flat().filter(isAlive)) {
    const known = byName.get(worker.consumer);
    byName.set(worker.consumer, { ...worker, streams: [...(known?.streams ?? []), ...worker.streams] });
  }
  return [...byName.values()];
}

async function liveRuns(store: Store, records: Records, tenant: string) {
  const counts = new Map<string, VersionView["runs"]>();
  let more = false;
  for await (const page of livePages(store, records, tenant, LOOKED_AT)) {
    more ||= page.more;
    for (const id of page.versions) {
      const runs = counts.get(id) ?? { queued: 0, running: 0, waiting: 0 };
      runs[page.status] += 1;
      counts.set(id, runs);
    }
  }
  return { counts, more };
}

/** The versions of a tenant's live runs by status, the oldest first; `more` if there are others beyond the limit. */
async function* livePages(store: Store, records: Records, tenant: string, limit: number) {
  for (const keys of store.allPartitions)
    for (const status of LIVE_STATUSES) {
      const index = keys.runsByStatus(tenant, status);
      for (let from = 0; from < limit; from += PAGE) {
        const ids = await records.oldest(index, from, Math.min(PAGE, limit - from));
        if (ids.length === 0) break;
        const more = from + PAGE >= limit && (await records.oldest(index, limit, 1)).length > 0;
        yield { status, versions: await records.versionsOf(ids), more };
      }
    }
}
