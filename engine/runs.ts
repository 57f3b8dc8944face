import type { BlobStore } from "./blobs/blob-store.ts";
import { hexDigest } from "./digest.ts";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { newRunId } from "./ids.ts";
import { pageOf } from "./listing.ts";
import type { RunsApi, StartOptions, Tenanted } from "./millrace.ts";
import type { Pauses } from "./pauses.ts";
import { encodeInput, storeValue } from "./payload.ts";
import type { Records } from "./records.ts";
import { type RunRecord, summaryOf, viewOf } from "./run-record.ts";
import { validate } from "./schema.ts";
import type { LaneStore } from "./store/lane-store.ts";
import { Reply, type Store } from "./store.ts";
import {
  type Durability,
  type Page,
  type PageOptions,
  PRIORITIES,
  type Priority,
  RUN_STATUSES,
  type RunStatus,
  type RunSummary,
  type RunView,
  type StartedRun,
} from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

export const DEFAULT_TENANT = "default";
const METADATA_LIMIT = 8_192;

/** The graphs of workflow versions: those of this process's definitions, and those that others have stored. */
export interface Graphs {
  of(workflow: string, version: number): Promise<Graph>;
}

export interface RunsParts {
  store: Store;
  /** Of the partition that new runs are in. */
  lanes: LaneStore;
  pauses: Pauses;
  records: Records;
  blobs: BlobStore;
  /** The newest version of each. */
  workflows: ReadonlyMap<string, AnyWorkflow>;
  graphs: Graphs;
  durability: () => Durability;
}

/** What can be done with runs from outside. */
export class Runs implements RunsApi {
  readonly #parts: RunsParts;

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  async start(which: string | AnyWorkflow, input: unknown, options: StartOptions = {}): Promise<StartedRun> {
    const name = typeof which === "string" ? which : which.name;
    const workflow = this.#parts.workflows.get(name);
    if (workflow === undefined) throw new NotFoundError("workflow", name);
    const { tenant = DEFAULT_TENANT, metadata, idempotency, priority = "normal" } = options;
    if (!PRIORITIES.includes(priority)) throw badPriority();
    const valid = await validate(workflow.input, input, "input");
    const kept = metadata === undefined ? undefined : encodeInput(metadata, "metadata");
    if (kept !== undefined && kept.length > METADATA_LIMIT) throw tooLong("metadata", METADATA_LIMIT);
    const json = encodeInput(valid, "input");
    let id = newRunId(0);
    if (idempotency !== undefined) {
      const hash = await hexDigest("SHA-256", `${idempotency.scope}\n${idempotency.key}`);
      id = await this.#parts.store.reserve(tenant, hash, idempotency.digest, id);
    }
    const stored = await storeValue(this.#parts.blobs, tenant, "input", json);
    const { graph } = workflow;
    const admission = { id, graph, tenant, input: stored, priority };
    await this.#parts.lanes.open(graph, priority);
    const created = await this.#parts.store.admit(kept === undefined ? admission : { ...admission, metadata: kept });
    const { version } = workflow;
    const durability = this.#parts.durability();
    if (created) return { id, workflow: name, version, status: "queued", durability, created };
    const { fields } = await this.#find(id, tenant);
    return {
      ...{ id, durability, created },
      workflow: fields.workflow!,
      version: Number(fields.version),
      status: fields.status as RunStatus,
    };
  }

  async get(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<RunView> {
    const record = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(record.fields.workflow!, Number(record.fields.version));
    const view = await viewOf(record, graph, this.#parts.blobs);
    await this.#parts.pauses.explain(view);
    return view;
  }

  async summary(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<RunSummary> {
    return summaryOf(await this.#find(id, tenant));
  }

  async list(
    options: Tenanted & PageOptions & { workflow?: string; status?: RunStatus } = {},
  ): Promise<Page<RunSummary>> {
    const { tenant = DEFAULT_TENANT, workflow, status } = options;
    const statuses = status === undefined ? RUN_STATUSES : [status];
    const indexes = this.#parts.store.allPartitions.map((keys) => ({
      byStatus: statuses.map((each) => keys.runsByStatus(tenant, each)),
      byWorkflow: workflow === undefined ? [] : [keys.runsByWorkflow(tenant, workflow)],
    }));
    const byStatus = indexes.flatMap((each) => each.byStatus);
    const byWorkflow = indexes.flatMap((each) => each.byWorkflow);
    // With two filters the smaller index is read, and the other filter applied to what it gives.
    let chosen = workflow === undefined ? byStatus : byWorkflow;
    if (workflow !== undefined && status !== undefined) {
      const sizes = await this.#parts.records.sizes([...byStatus, ...byWorkflow]);
      const total = (from: number, to: number) => sizes.slice(from, to).reduce((sum, size) => sum + size, 0);
      if (total(0, byStatus.length) < total(byStatus.length, sizes.length)) chosen = byStatus;
    }
    return pageOf(this.#parts.records, chosen, options, async (ids) => {
      const summaries = new Map(
        (await this.#parts.records.summaries(ids)).map((record) => [record.id, summaryOf(record)]),
      );
      return ids.map((id) => {
        const summary = summaries.get(id);
        const left = summary === undefined || (workflow !== undefined && summary.workflow !== workflow);
        return left || (status !== undefined && summary.status !== status) ? undefined : summary;
      });
    });
  }

  async cancel(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<void> {
    const { fields } = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(fields.workflow!, Number(fields.version));
    const reply = await this.#parts.store.cancel(id, graph, tenant, (fields.priority ?? "normal") as Priority);
    if (reply === Reply.UnknownRun) throw new NotFoundError("run", id);
    if (reply === Reply.RunEnded)
      throw new ConflictError("run_ended", `Run ${id} had ended before it could be cancelled.`);
    if (reply === Reply.WrongType)
      throw new ConflictError("wrong_type", `A key of run ${id} holds another type than Millrace keeps there.`);
  }

  async #find(id: string, tenant: string): Promise<RunRecord> {
    const record = await this.#parts.store.readRun(id, tenant);
    if (record === undefined) throw new NotFoundError("run", id);
    return record;
  }
}

function badPriority(): InvalidInputError {
  const message = `Expected one of ${PRIORITIES.join(", ")}`;
  return new InvalidInputError("There is no such priority.", [{ path: ["priority"], message }]);
}

function tooLong(path: string, limit: number): InvalidInputError {
  const message = `At most ${limit} characters of JSON`;
  return new InvalidInputError(`The ${path} is too long.`, [{ path: [path], message }]);
}
