import { ConflictError, InvalidInputError, MillraceError, NotFoundError, UnavailableError } from "./errors.ts";
import { type Graph, shapeOf, workflowVersion } from "./graph.ts";
import {
  busyReason,
  type Destination,
  type MigratingStep,
  type MigratingSteps,
  planMigration,
  sameSteps,
} from "./migration-plan.ts";
import type { RunsApi } from "./millrace.ts";
import { encodeInput } from "./payload.ts";
import { laneOf, type RunRecord, stepWords } from "./run-record.ts";
import { DEFAULT_TENANT, type Graphs } from "./runs.ts";
import { validate } from "./schema.ts";
import type { LaneStore } from "./store/lane-store.ts";
import type { MigrationStore } from "./store/migration-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Values } from "./values.ts";
import { LIVE_STATUSES } from "./versions.ts";
import type { MigrateDecision, MigrateOptions, MigrateResult, MigrateTo } from "./versions-api.ts";
import type { RunSummary, RunView } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** So many runs are looked at side by side. */
const AT_ONCE = 10;
/** How often a run that moves on meanwhile is looked at again. */
const TRIES = 3;
const LONGEST_LIST = 1_000;
const REASONS_KEPT = 1_000;

export interface MigrateParts {
  store: Store;
  lanes: LaneStore;
  migrations: MigrationStore;
  values: Values;
  runs: RunsApi;
  graphs: Graphs;
  /** The versions that are not retired. */
  listed(): Promise<Graph[]>;
  /** The newest version of each. */
  workflows: ReadonlyMap<string, AnyWorkflow>;
  /** Every version of every definition that this process has. */
  definitions: readonly AnyWorkflow[];
}

type Decide = ((run: RunView) => MigrateDecision | Promise<MigrateDecision>) | undefined;
type Outcome = { outcome: "moved" | "cancelled" } | { outcome: "skipped" | "busy" | "failed"; reason: string };

/** Moves runs from one version to another. Its contract is in `VersionsApi.migrate`. */
export async function migrate(
  parts: MigrateParts,
  options: MigrateOptions<string | AnyWorkflow>,
  decide: Decide,
): Promise<MigrateResult> {
  const { runs, limit = Number.POSITIVE_INFINITY, tenant = DEFAULT_TENANT, dryRun = false } = options;
  if (!(limit >= 1)) throw invalid("limit", "Expected 1 or more");
  if (Array.isArray(runs) && runs.length > LONGEST_LIST) throw invalid("runs", `At most ${LONGEST_LIST} ids`);
  const { from, to } = await graphsOf(parts, options);
  const mover = new Mover(parts, { from, to, tenant, decide, dryRun });
  const result: MigrateResult = { moved: 0, cancelled: 0, skipped: 0, busy: 0, failed: 0, left: [] };
  for await (const ids of pages(parts, options, tenant, from)) {
    for (let i = 0; i < ids.length && result.moved < limit; ) {
      const some = ids.slice(i, i + Math.min(AT_ONCE, limit - result.moved));
      const outcomes = await Promise.all(some.map((id) => mover.move(id)));
      for (const [k, each] of outcomes.entries()) {
        result[each.outcome] += 1;
        if ("reason" in each && result.left.length < REASONS_KEPT) result.left.push({ run: some[k]!, ...each });
      }
      i += some.length;
    }
    if (result.moved >= limit) break;
  }
  return result;
}

async function graphsOf({ graphs, listed, workflows }: MigrateParts, options: MigrateOptions<string | AnyWorkflow>) {
  const { workflow, from } = options;
  const name = typeof workflow === "string" ? workflow : workflow.name;
  const to = options.to ?? (typeof workflow === "string" ? workflows.get(name)?.version : workflow.version);
  if (to === undefined) throw new NotFoundError("workflow", name);
  if (to === from) throw invalid("to", `Expected another version than ${from}`);
  const target = (await listed()).find((graph) => graph.workflow === name && graph.version === to);
  if (target === undefined)
    throw new NotFoundError("workflow version", workflowVersion({ workflow: name, version: to }));
  return { from: await graphs.of(name, from), to: target };
}

/** The ids of the runs that are meant, a page at a time. A run that moves on meanwhile may be missed: the next call has it. */
async function* pages(
  { runs }: MigrateParts,
  { runs: which }: MigrateOptions<string | AnyWorkflow>,
  tenant: string,
  { workflow, version }: Graph,
): AsyncGenerator<string[]> {
  if (which !== undefined && typeof which !== "function") return yield [...new Set(which)];
  const isMeant = (run: RunSummary) => run.version === version && (which === undefined || which(run));
  for (const status of LIVE_STATUSES) {
    let cursor: string | undefined;
    do {
      const page = await runs.list({
        tenant,
        workflow,
        status,
        limit: 100,
        ...(cursor === undefined ? {} : { cursor }),
      });
      yield page.data.filter(isMeant).map(({ id }) => id);
      cursor = page.next;
    } while (cursor !== undefined);
  }
}

interface Move {
  from: Graph;
  to: Graph;
  tenant: string;
  decide: Decide;
  dryRun: boolean;
}

/** Moves one run after the other. */
class Mover {
  readonly #parts: MigrateParts;
  readonly #move: Move;

  constructor(parts: MigrateParts, move: Move) {
    this.#parts = parts;
    this.#move = move;
  }

  /** Never throws what is the matter with one run. */
  async move(id: string): Promise<Outcome> {
    try {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const outcome = await this.#try(id);
        if (outcome !== undefined) return outcome;
      }
      return { outcome: "busy", reason: "it moves on all the time" };
    } catch (error) {
      if (error instanceof NotFoundError) return { outcome: "skipped", reason: "it is not there" };
      if (error instanceof ConflictError) return { outcome: "skipped", reason: error.message };
      if (error instanceof InvalidInputError) return { outcome: "failed", reason: issuesOf(error) };
      if (error instanceof UnavailableError || !(error instanceof MillraceError)) throw error;
      return { outcome: "failed", reason: error.message };
    }
  }

  /** Undefined if the run has changed meanwhile. */
  async #try(id: string): Promise<Outcome | undefined> {
    const { from, to, tenant, decide, dryRun } = this.#move;
    const { store, lanes, migrations } = this.#parts;
    const record = await store.readRun(id, tenant);
    const passed = record === undefined ? "it is not there" : this.#passed(record);
    if (record === undefined || passed !== undefined) return { outcome: "skipped", reason: passed! };
    const steps = stepsOf(record, from);
    const busy = busyReason(steps);
    if (busy !== undefined) return { outcome: "busy", reason: busy };

    const decision: Decided | string =
      decide === undefined ? sameSteps(from, to, steps) : await this.#decided(id, decide);
    if (decision === "skip") return { outcome: "skipped", reason: "as decided" };
    if (decision === "cancel") {
      if (!dryRun) await this.#parts.runs.cancel(id, { tenant });
      return { outcome: "cancelled" };
    }
    if (typeof decision === "string") return { outcome: "skipped", reason: decision };
    const plan = planMigration(from, to, steps, decision);
    if (typeof plan === "string") return { outcome: decide === undefined ? "skipped" : "failed", reason: plan };
    const { outputs, input } = await this.#stored(id, decision);
    if (dryRun) return { outcome: "moved" };
    await lanes.open(store.partitionKeys(record.id), to, laneOf(record.fields));
    const reply = await migrations.migrate({ record, from, to, steps, plan, outputs, input });
    if (reply === Reply.Done) return { outcome: "moved" };
    if (reply === Reply.NotOwner) return { outcome: "busy", reason: "a step is in a worker's hands" };
    if (reply === Reply.WrongType)
      return { outcome: "failed", reason: "a key of it holds another type than Millrace keeps there" };
    return undefined;
  }

  /** Why it is not for this call. */
  #passed({ fields }: RunRecord): string | undefined {
    const { from, to } = this.#move;
    if (fields.workflow !== from.workflow || Number(fields.version) !== from.version)
      return `it is of ${workflowVersion({ workflow: fields.workflow!, version: fields.version! })}`;
    if (fields.endedAt !== undefined) return `it is ${fields.status}`;
    const ends = (graph: Graph) => [...shapeOf(graph).ends].sort().join();
    if (fields.parent !== undefined && ends(from) !== ends(to))
      return "it is a child run, and its parent reads the outputs of the last steps of its version";
    return undefined;
  }

  async #decided(id: string, decide: NonNullable<Decide>): Promise<Decided | "skip" | "cancel"> {
    const view = await this.#parts.runs.get(id, { tenant: this.#move.tenant });
    let decision: MigrateDecision;
    try {
      decision = await decide(view);
    } catch (error) {
      throw new Refused(`the function that decides threw: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (decision === "skip" || decision === "cancel") return decision;
    const { at, outputs = {}, input } = (decision ?? {}) as Partial<MigrateTo>;
    const names = typeof at === "string" ? [at] : at;
    if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
      throw new Refused(`the function that decides must give {at: STEP}, "skip" or "cancel"`);
    if (typeof outputs !== "object" || outputs === null)
      throw new Refused("outputs must be an object of outputs by step");
    const given = new Map(Object.entries(outputs));
    return { at: names, given: new Set(given.keys()), outputs: given, input };
  }

  async #stored(run: string, { outputs = new Map(), input }: Decided) {
    const { to, tenant, dryRun } = this.#move;
    const { values, definitions } = this.#parts;
    const stored = new Map<string, string>();
    for (const [step, output] of outputs) {
      encodeInput(output, `output of ${step}`);
      if (!dryRun) stored.set(step, await values.put({ tenant, run }, step, output));
    }
    if (input === undefined) return { outputs: stored, input: undefined };
    const schema = definitions.find(({ graph }) => workflowVersion(graph) === workflowVersion(to))?.input;
    const valid = schema === undefined ? input : await validate(schema, input, "input");
    encodeInput(valid, "input");
    return { outputs: stored, input: dryRun ? undefined : await values.put({ tenant, run }, "input", valid) };
  }
}

interface Decided extends Destination {
  outputs?: ReadonlyMap<string, unknown>;
  input?: unknown;
}

/** What is said of a run does not go. */
class Refused extends MillraceError {
  constructor(message: string) {
    super("migration_refused", message);
  }
}

/** A step that waits for a limit is queued: before the gate of the other version it stands in the queue like any other. */
function stepsOf({ fields }: RunRecord, { steps }: Graph): MigratingSteps {
  const found = new Map<string, MigratingStep>();
  for (const { name } of steps) {
    const record = fields[`step:${name}`];
    if (record === undefined) continue;
    const { status, place } = stepWords(record);
    const hadItems = fields[`items:${name}`] !== undefined;
    found.set(name, { status: place.startsWith("gate:") ? "queued" : status, place, hadItems });
  }
  return found;
}

function issuesOf({ message, issues }: InvalidInputError): string {
  return [message, ...issues.slice(0, 5).map(({ path, message: each }) => `${path.join(".")}: ${each}`)].join(" ");
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
}
