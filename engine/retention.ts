import type { Deletion } from "./deletion.ts";
import { type Graph, workflowVersion } from "./graph.ts";
import { logger } from "./log.ts";
import { fitting, isDue, type RetentionPolicy } from "./retention-policy.ts";
import { Loop, type Service } from "./service.ts";
import type { JudgedRun, RetentionStore, RunCounts } from "./store/retention-store.ts";
import { Reply } from "./store.ts";

const log = logger("retention");

/** How often what has ended is gone through. */
const SWEEP_EVERY_MS = 60_000;
/** How long a pass may take before another process may think that this one is gone. */
const HOLD_MS = 60_000;
/** What one pass does at the most. */
const DELETED_AT_ONCE = 100;
const LOOKED_AT_ONCE = 2_000;
const WORKFLOWS_AT_ONCE = 100;
/** Between a pass that found little to delete and the next. */
const PAUSE_MS = 200;
const PAGE = 100;
const DELETED_IN_PARALLEL = 10;
/** So many runs stand for all of a workflow when its bytes are estimated. */
const SAMPLE = 100;

export interface RetentionParts {
  store: RetentionStore;
  deletion: Deletion;
  /** The graph of every workflow version that was ever served. */
  graphs: () => Promise<Graph[]>;
  /** Of the definitions that this process has. */
  policies: ReadonlyMap<string, RetentionPolicy>;
  /** Unique for each process. */
  owner: string;
  /** How many partitions there are: each keeps its share of what may be kept. */
  partitions: number;
}

/** One workflow of one tenant. */
interface Target {
  tenant: string;
  workflow: string;
}

/**
 * Deletes ended runs that are no longer kept: a walk over the runs of every workflow of every tenant, the oldest first,
 * by one process at a time, a bounded pass at a time. How far it has come is stored, so that another goes on there.
 */
export class Retention implements Service {
  readonly #parts: RetentionParts;
  readonly #loop: Loop;
  #published = false;
  #holds = false;
  #stopping = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
    this.#loop = new Loop("retention", SWEEP_EVERY_MS, () => this.runOnce());
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#loop.stop();
    if (!this.#holds) return;
    this.#holds = false;
    const release = this.#parts.store.hold(this.#parts.owner, 0);
    await release.catch((error) => log.debug("another process goes on in a minute: {error}", { error }));
  }

  /** One pass. @returns in how many ms the walk goes on; undefined when it has come to its end, or another has it */
  async runOnce(): Promise<number | undefined> {
    const { store, owner } = this.#parts;
    if (!this.#published) {
      await store.publish(this.#parts.policies);
      this.#published = true;
    }
    const held = await store.hold(owner, HOLD_MS);
    this.#holds = held !== undefined;
    if (held === undefined) return undefined;
    const { position, inMs } = await this.#pass(held.now, held.position);
    await store.hold(owner, inMs ?? SWEEP_EVERY_MS, position);
    return inMs;
  }

  async #pass(now: number, from: string): Promise<{ position: string; inMs?: number }> {
    const { store } = this.#parts;
    const graphs = new Map((await this.#parts.graphs()).map((graph) => [workflowVersion(graph), graph]));
    const policyOf = await store.policies();
    const { targets, offset, more } = await this.#targets(graphs.values(), from);
    const before = ({ workflow }: Target) =>
      now - Math.min(policyOf(workflow).ageMs, policyOf(workflow).deadLetterAgeMs);
    const counts = await store.counts(targets.map((target) => ({ ...target, before: before(target) })));
    const budget = { looked: LOOKED_AT_ONCE, deleted: DELETED_AT_ONCE };
    for (const [i, target] of targets.entries()) {
      const policy = policyOf(target.workflow);
      const surplus = await this.#surplus(target, policy, counts[i]!);
      const end = Math.max(counts[i]!.aged, surplus);
      // What is deleted leaves the index, and those after it move up.
      let at = i === 0 ? offset : 0;
      let gone = 0;
      while (at + gone < end) {
        if (budget.looked <= 0 || budget.deleted <= 0)
          return { position: encode(target, at), inMs: budget.deleted <= 0 ? 0 : PAUSE_MS };
        if (this.#stopping) return { position: encode(target, at), inMs: 0 };
        const size = Math.min(PAGE, end - at - gone, budget.looked, budget.deleted);
        const runs = await store.oldest(target.tenant, target.workflow, at, size);
        if (runs.length === 0) break;
        const due = runs.filter(({ endedAt, hasDeadLetter }, k) => {
          return (
            endedAt !== undefined && isDue(policy, now, { endedAt, hasDeadLetter, surplus: at + gone + k < surplus })
          );
        });
        const deleted = await this.#delete(target, due, graphs);
        budget.looked -= runs.length;
        budget.deleted -= deleted;
        gone += deleted;
        at += runs.length - deleted;
      }
    }
    return more === undefined ? { position: "" } : { position: encode(more, 0), inMs: PAUSE_MS };
  }

  /** The workflows to go through from a position on, and where to go on after those. */
  async #targets(
    graphs: Iterable<Graph>,
    from: string,
  ): Promise<{ targets: Target[]; offset: number; more: Target | undefined }> {
    const workflows = [...new Set([...graphs].map(({ workflow }) => workflow))].sort();
    const tenants = (await this.#parts.store.tenants()).sort();
    const [atTenant = "", atWorkflow = "", offset = "0"] = from.split(" ");
    const targets: Target[] = [];
    const result = (more?: Target) => {
      const isSame = targets[0]?.tenant === atTenant && targets[0].workflow === atWorkflow;
      return { targets, offset: isSame ? Number(offset) : 0, more };
    };
    for (const tenant of tenants.filter((each) => each >= atTenant)) {
      for (const workflow of workflows) {
        if (tenant === atTenant && workflow < atWorkflow) continue;
        if (targets.length === WORKFLOWS_AT_ONCE) return result({ tenant, workflow });
        targets.push({ tenant, workflow });
      }
    }
    return result();
  }

  /** How many of the oldest runs are beyond what `count` and `bytes` let stay. */
  async #surplus(target: Target, { count, bytes }: RetentionPolicy, { total }: RunCounts): Promise<number> {
    if (total === 0) return 0;
    const { store, partitions } = this.#parts;
    let kept = Math.ceil(count / partitions);
    if (bytes !== Number.POSITIVE_INFINITY) {
      const sizes = await store.sample(target.tenant, target.workflow, total, SAMPLE);
      kept = Math.min(kept, fitting(bytes / partitions, sizes, Math.ceil(total / SAMPLE)));
    }
    return Math.max(0, total - kept);
  }

  /** @returns how many were deleted */
  async #delete(
    { tenant, workflow }: Target,
    runs: readonly JudgedRun[],
    graphs: ReadonlyMap<string, Graph>,
  ): Promise<number> {
    let deleted = 0;
    for (let from = 0; from < runs.length; from += DELETED_IN_PARALLEL) {
      const part = runs.slice(from, from + DELETED_IN_PARALLEL).map(async ({ id, version, endedAt }) => {
        const graph = graphs.get(workflowVersion({ workflow, version }));
        if (graph === undefined) return;
        const reply = await this.#parts.deletion.delete({ run: id, tenant, graph, endedAt: endedAt! });
        if (reply === Reply.Done) deleted += 1;
        if (reply === Reply.WrongType) log.error("run {id} is kept: a key of it holds another type", { id });
      });
      await Promise.all(part);
    }
    return deleted;
  }
}

function encode({ tenant, workflow }: Target, offset: number): string {
  return `${tenant} ${workflow} ${offset}`;
}
