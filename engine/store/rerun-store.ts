import { encodeEvent } from "../events.ts";
import type { Graph } from "../graph.ts";
import type { Client, ScriptRunner } from "../redis/client.ts";
import { admitRerun } from "../scripts/admit-rerun.ts";
import type { Reply } from "../scripts/script.ts";
import type { Store } from "../store.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import type { Priority } from "../views.ts";

/** A new run that begins with steps of an earlier one. */
export interface RerunAdmission {
  id: string;
  graph: Graph;
  tenant: string;
  /** JSON. */
  metadata: string;
  /** Default normal. */
  priority?: Priority;
  /** The steps that start. */
  start: readonly string[];
  /** Fields of the run's hash that are kept. */
  fields: Readonly<Record<string, string>>;
  /** The trace that it is of, as Redis holds it. */
  trace?: string | undefined;
  /** What `expectBlobs` said; undefined where it was not called. */
  blobsDueAt: number | undefined;
}

/** Stores runs that begin again in the middle. */
export class RerunStore {
  readonly #client: Client;
  readonly #store: Store;

  constructor(client: Client, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /**
   * Has a worker delete what will have been put for a run that is not admitted within `inMs`. A repeated call changes
   * nothing.
   *
   * @returns when that is due, in ms
   */
  async expectBlobs(tenant: string, run: string, inMs: number): Promise<number> {
    const { nowMs } = await this.#client.timed([]);
    const row = encodeTimerRow({ kind: "delete", tenant, run, items: "" });
    const timers = this.#store.partitionKeys(run).timers();
    const [, due] = await this.#client.pipeline([
      ["ZADD", timers, "NX", nowMs + inMs, row],
      ["ZSCORE", timers, row],
    ]);
    return Number(due);
  }

  /** @returns Done; Already if it is there; Stale if it came too late for its blobs; WrongType */
  async admit(admission: RerunAdmission, via?: ScriptRunner): Promise<Reply> {
    const { id, graph, tenant, priority, metadata, start, fields, blobsDueAt } = admission;
    const keys = this.#store.partitionKeys(id);
    const tags = JSON.parse(fields.tags ?? "[]") as string[];
    const [reply] = (await this.#store.teller.run(
      admitRerun,
      keys,
      [
        ...[keys.run(id), keys.log(id), keys.timers()],
        ...[keys.runsByStatus(tenant, "queued"), keys.runsByWorkflow(tenant, graph.workflow)],
        ...start.map((step) => keys.step(graph, step, priority)),
        ...tags.map((tag) => keys.runsByTag(tenant, tag)),
      ],
      [
        ...[id, graph.workflow, graph.version, tenant, metadata, encodeEvent({ type: "run.queued" })],
        ...(blobsDueAt === undefined
          ? ["", 0]
          : [encodeTimerRow({ kind: "delete", tenant, run: id, items: "" }), blobsDueAt]),
        ...[admission.trace ?? "", start.length, ...start],
        ...Object.entries(fields).flat(),
      ],
      via,
    )) as [Reply];
    return reply;
  }
}
