import type { Deletion } from "./deletion.ts";
import { hexDigest } from "./digest.ts";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import { type Graph, shapeOf } from "./graph.ts";
import { ID_PATTERN, newId, newRunId } from "./ids.ts";
import { pageOfItems } from "./items.ts";
import { pageOf } from "./listing.ts";
import type { RerunOptions, RunsApi, StartOptions, Tenanted } from "./millrace.ts";
import { encodeInput } from "./payload.ts";
import type { Records } from "./records.ts";
import { rerun } from "./rerun.ts";
import { type RunRecord, summaryOf, viewOf } from "./run-record.ts";
import { validate } from "./schema.ts";
import { definitionOf } from "./step-input.ts";
import type { RerunStore } from "./store/rerun-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Values } from "./values.ts";
import {
  type Durability,
  type ItemView,
  type Page,
  type PageOptions,
  RUN_STATUSES,
  type RunStatus,
  type RunSummary,
  type RunView,
  type StartedRun,
} from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

export const DEFAULT_TENANT = "default";
export const METADATA_LIMIT = 8_192;

/** The graphs of workflow versions: those of this process's definitions, and those that others have stored. */
export interface Graphs {
  of(workflow: string, version: number): Promise<Graph>;
}

export interface RunsParts {
  store: Store;
  records: Records;
  values: Values;
  /** The newest version of each. */
  workflows: ReadonlyMap<string, AnyWorkflow>;
  graphs: Graphs;
  deletion: Deletion;
  reruns: RerunStore;
  /** Every version of each. */
  definitions: readonly AnyWorkflow[];
  durability: () => Durability;
}

/** What can be done with runs from outside. */
export class Runs implements RunsApi {
  readonly #parts: RunsParts;

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  /** @param wanted the run's id: starting it again is then safe by itself */
  async start(
    which: string | AnyWorkflow,
    input: unknown,
    options: StartOptions = {},
    wanted = newRunId(0),
  ): Promise<StartedRun> {
    const name = typeof which === "string" ? which : which.name;
    const workflow = this.#parts.workflows.get(name);
    if (workflow === undefined) throw new NotFoundError("workflow", name);
    const { tenant = DEFAULT_TENANT, metadata, idempotency } = options;
    const valid = await validate(workflow.input, input, "input");
    const kept = metadata === undefined ? undefined : encodeInput(metadata, "metadata");
    if (kept !== undefined && kept.length > METADATA_LIMIT) throw tooLong("metadata", METADATA_LIMIT);
    const json = encodeInput(valid, "input");
    let id = wanted;
    if (idempotency !== undefined) {
      const hash = await hexDigest("SHA-256", `${idempotency.scope}\n${idempotency.key}`);
      id = await this.#parts.store.reserve(tenant, hash, idempotency.digest, id);
    }
    const stored = await this.#parts.values.keep(id, tenant, "input", json);
    const { graph } = workflow;
    const admission = { id, graph, tenant, input: stored };
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
    return viewOf(record, graph, this.#parts.values);
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
    const reply = await this.#parts.store.cancel(id, graph, tenant);
    if (reply === Reply.UnknownRun) throw new NotFoundError("run", id);
    if (reply === Reply.RunEnded)
      throw new ConflictError("run_ended", `Run ${id} had ended before it could be cancelled.`);
    refuseWrongType(reply, id);
  }

  async delete(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<void> {
    const { fields } = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(fields.workflow!, Number(fields.version));
    const reply = await this.#parts.deletion.delete({ run: id, tenant, graph });
    if (reply === Reply.UnknownRun) throw new NotFoundError("run", id);
    if (reply === Reply.Stale)
      throw new ConflictError("run_live", `Run ${id} has not ended: cancel it before it is deleted.`);
    refuseWrongType(reply, id);
  }

  rerun(id: string, { tenant = DEFAULT_TENANT, ...options }: Tenanted & RerunOptions): Promise<StartedRun> {
    return rerun(this.#parts, id, { tenant, ...options });
  }

  async signal(id: string, name: string, data?: unknown, options: Tenanted & { key?: string } = {}): Promise<void> {
    const { tenant = DEFAULT_TENANT, key = newId() } = options;
    if (!ID_PATTERN.test(key)) throw invalidKey();
    const { fields } = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(fields.workflow!, Number(fields.version));
    if (shapeOf(graph).byName.get(name)?.kind !== "wait") throw new NotFoundError("signal", name);
    // A process that knows the definition refuses at once what the step would not take.
    const work = definitionOf(this.#parts.definitions, graph)?.steps.find((step) => step.name === name)?.work;
    if (work?.kind === "wait") await validate(work.schema, data, "signal");
    const { values, store } = this.#parts;
    const stored = await values.keep(id, tenant, name, encodeInput(data, "signal"));
    const reply = await store.signal(id, graph, tenant, name, key, stored);
    if (reply === Reply.UnknownRun) throw new NotFoundError("run", id);
    if (reply === Reply.RunEnded) throw new ConflictError("run_ended", `Run ${id} had ended before the signal came.`);
    if (reply === Reply.Stale)
      throw new ConflictError("signal_settled", `Run ${id} has had its signal ${name}, or waits for it no more.`);
    refuseWrongType(reply, id);
  }

  async items(
    id: string,
    step: string,
    { tenant = DEFAULT_TENANT, ...page }: Tenanted & PageOptions = {},
  ): Promise<Page<ItemView>> {
    const { fields } = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(fields.workflow!, Number(fields.version));
    const shape = shapeOf(graph).byName.get(step);
    if (shape === undefined || shape.items === 0) throw new NotFoundError("step with items", step);
    return pageOfItems(
      this.#parts.store,
      this.#parts.values,
      { run: id, step, kind: shape.kind, tenant, fields },
      page,
    );
  }

  async #find(id: string, tenant: string): Promise<RunRecord> {
    const record = await this.#parts.store.readRun(id, tenant);
    if (record === undefined) throw new NotFoundError("run", id);
    return record;
  }
}

function refuseWrongType(reply: Reply, id: string): void {
  if (reply === Reply.WrongType)
    throw new ConflictError("wrong_type", `A key of run ${id} holds another type than Millrace keeps there.`);
}

function invalidKey(): InvalidInputError {
  const issue = { path: ["key"], message: "Expected 1 to 64 of A-Z a-z 0-9 _ -" };
  return new InvalidInputError("The key of the signal is not one.", [issue]);
}

function tooLong(path: string, limit: number): InvalidInputError {
  const message = `At most ${limit} characters of JSON`;
  return new InvalidInputError(`The ${path} is too long.`, [{ path: [path], message }]);
}
