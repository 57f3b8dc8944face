import { noBlobs } from "./blobs/no-blobs.ts";
import { hexDigest } from "./digest.ts";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import { type Graph, workflowVersion } from "./graph.ts";
import { newRunId } from "./ids.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { RerunOptions } from "./millrace.ts";
import { encodeInput, isSpread } from "./payload.ts";
import { keptCounts, type RerunPlan, rerunPlan } from "./rerun-plan.ts";
import { type RunRecord, statusOf, stepStatus } from "./run-record.ts";
import type { Graphs } from "./runs.ts";
import { validInput } from "./step-input.ts";
import type { Confirmations } from "./store/confirmations.ts";
import type { LaneStore } from "./store/lane-store.ts";
import type { RerunStore } from "./store/rerun-store.ts";
import { Reply, type Store } from "./store.ts";
import { parseTraceContext } from "./trace-context.ts";
import { startInSpan } from "./tracing.ts";
import { encodeBudget, parseBudget } from "./usage.ts";
import type { Values } from "./values.ts";
import type { Priority, StartedRun } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** How long a run has to be admitted once its blobs are there, before these are deleted. */
const ADMIT_WITHIN_MS = 60_000;

export interface RerunParts {
  store: Store;
  reruns: RerunStore;
  values: Values;
  lanes: LaneStore;
  graphs: Graphs;
  /** The newest version of each. */
  workflows: ReadonlyMap<string, AnyWorkflow>;
  /** Every version of every definition that this process has. */
  definitions: readonly AnyWorkflow[];
  /** The versions that are not retired. */
  listed(): Promise<Graph[]>;
  memory: MemoryWatch;
  confirmations: Confirmations;
}

/** Starts a new run with what an ended one had come to, from a step on. Its contract is in `RunsApi.rerun`. */
export async function rerun(
  parts: RerunParts,
  id: string,
  options: RerunOptions & { tenant: string },
): Promise<StartedRun> {
  const record = await parts.store.readRun(id, options.tenant);
  if (record === undefined) throw new NotFoundError("run", id);
  const graph = await graphFor(parts, record, options.newest ?? false);
  const from = parseTraceContext(options.traceparent, options.tracestate);
  return startInSpan(graph.workflow, from, (trace) => rerunOn(parts, record, graph, options, trace));
}

async function rerunOn(
  parts: RerunParts,
  record: RunRecord,
  graph: Graph,
  { tenant, from, input, idempotency }: RerunOptions & { tenant: string },
  trace: string | undefined,
): Promise<StartedRun> {
  const { store, reruns, values } = parts;
  const { blobs } = values;
  const { id } = record;
  const plan = planFor(record, graph, from);
  const { start } = plan;
  const valid = input === undefined ? undefined : await validInput(parts.definitions, graph, from, input);
  const json = input === undefined ? undefined : encodeInput(valid, "input");

  // In the partition of the run that it is of: whatever that was spread by holds for it, too.
  const fresh = newRunId(store.partitionKeys(id).index);
  const own = idempotency === undefined ? fresh : await reserved(store, tenant, idempotency, fresh);
  const { workflow, version } = graph;
  const accepted = { id: own, workflow, version, status: "queued" } as const;
  const confirming = parts.confirmations.begin();
  const earlier = own !== fresh ? await store.readRun(own, tenant) : undefined;
  if (earlier !== undefined) {
    const durability = await confirming.settle(own, false);
    return { ...accepted, durability, status: statusOf(earlier.fields), created: false };
  }
  await refuseRetired(parts, graph, id);
  const blobsDueAt = blobs === noBlobs ? undefined : await reruns.expectBlobs(tenant, own, ADMIT_WITHIN_MS);
  await blobs.share(tenant, id, own);
  const fields = {
    ...(await keptFields(values, own, record, plan, from)),
    ...keptCounts(graph, plan, statusIn(record)),
  };
  if (json !== undefined) fields[`input:${from}`] = await values.keep(own, tenant, `input-${from}`, json);
  // Its blobs were shared in time if the run is still there now: they are deleted after it.
  if ((await store.readRun(id, tenant)) === undefined) throw new NotFoundError("run", id);
  const metadata = JSON.stringify({ ...JSON.parse(record.fields.metadata ?? "{}"), rerunOf: id });
  const priority = (record.fields.priority ?? "normal") as Priority;
  await parts.lanes.open(store.partitionKeys(own), graph, priority);
  const admission = { id: own, graph, tenant, priority, metadata, start, fields, trace, blobsDueAt };
  const admit = () => reruns.admit(admission, confirming.via);
  const reply = await parts.memory.guard(store.partitionKeys(own), async () => false, admit);
  if (reply === Reply.WrongType)
    throw new ConflictError("wrong_type", `A key of run ${own} holds another type than Millrace keeps there.`);
  if (reply === Reply.Stale)
    throw new ConflictError("rerun_late", "What the run needs took too long to be stored. Try again.");
  const created = reply === Reply.Done;
  return { ...accepted, durability: await confirming.settle(own, created), created };
}

async function reserved(
  store: Store,
  tenant: string,
  { scope, key, digest }: NonNullable<RerunOptions["idempotency"]>,
  id: string,
): Promise<string> {
  return store.reserve(tenant, await hexDigest("SHA-256", `${scope}\n${key}`), digest, id);
}

async function graphFor({ graphs, workflows }: RerunParts, { fields }: RunRecord, newest: boolean): Promise<Graph> {
  if (!newest) return graphs.of(fields.workflow!, Number(fields.version));
  const workflow = workflows.get(fields.workflow!);
  if (workflow === undefined) throw new NotFoundError("workflow", fields.workflow!);
  return workflow.graph;
}

/** The streams of a retired version are gone, and nobody would see that a run waits there. */
async function refuseRetired({ listed }: RerunParts, { workflow, version }: Graph, id: string): Promise<void> {
  if ((await listed()).some((each) => each.workflow === workflow && each.version === version)) return;
  throw new ConflictError(
    "version_retired",
    `Run ${id} is of ${workflowVersion({ workflow, version })}, which is retired. Run it again on the newest version, with newest, or connect a ` +
      "process with that definition first.",
  );
}

/** What was undone is not there to be kept. */
function statusIn({ fields }: RunRecord): (step: string) => string {
  return (step) => (fields[`undo:${step}`] === undefined ? stepStatus(fields, step) : "undone");
}

function planFor(record: RunRecord, graph: Graph, from: string): RerunPlan {
  if (record.fields.endedAt === undefined)
    throw new ConflictError("run_live", `Run ${record.id} has not ended: only an ended run can be run again.`);
  if (!graph.steps.some(({ name }) => name === from)) {
    const names = graph.steps.map(({ name }) => name).join(", ");
    const message = `Version ${graph.version} of ${graph.workflow} has no step ${JSON.stringify(from)}: it has ${names}`;
    throw new InvalidInputError(message, [{ path: ["from"], message }]);
  }
  const plan = rerunPlan(graph, from, statusIn(record));
  const undone = plan.missing.filter((step) => record.fields[`undo:${step}`] !== undefined);
  if (undone.length > 0)
    throw new ConflictError(
      "run_undone",
      `Run ${record.id} cannot begin again from ${from}: before it, ${undone.join(", ")} was undone. Begin from there.`,
    );
  if (plan.missing.length > 0)
    throw new ConflictError(
      "step_not_reached",
      `Run ${record.id} cannot begin again from ${from}: before it, ${plan.missing.join(", ")} had not completed.`,
    );
  return plan;
}

/** The input of the run, its tags and its priority, what the kept steps came to, and an input that the first step was given by hand. */
async function keptFields(
  values: Values,
  run: string,
  { fields }: RunRecord,
  { keep }: RerunPlan,
  from: string,
): Promise<Record<string, string>> {
  const tenant = fields.tenant!;
  const perStep = keep.flatMap((step) => ["step", "output", "input", "progress"].map((kind) => `${kind}:${step}`));
  const kept: Record<string, string> = {};
  for (const name of ["input", "priority", "tags", `input:${from}`, ...perStep]) {
    const stored = fields[name];
    if (stored === undefined) continue;
    // The results of a map are with the items of the run that is left behind.
    kept[name] = isSpread(stored) ? await values.put({ tenant, run }, name, await values.get(tenant, stored)) : stored;
  }
  // It begins anew, with the whole of it.
  if (fields.budget !== undefined) kept.budget = encodeBudget(parseBudget(fields.budget));
  return kept;
}
