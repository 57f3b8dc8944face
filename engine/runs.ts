import type { Deletion } from "./deletion.ts";
import { hexDigest } from "./digest.ts";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import { type Graph, shapeOf } from "./graph.ts";
import { ID_PATTERN, newId } from "./ids.ts";
import { pageOfItems } from "./items.ts";
import { pageOf } from "./listing.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { RerunOptions, RunFilter, RunsApi, StartOptions, Tenanted } from "./millrace.ts";
import type { Pauses } from "./pauses.ts";
import { encodeInput } from "./payload.ts";
import type { Records } from "./records.ts";
import { rerun } from "./rerun.ts";
import { fits, smallestIndex } from "./run-filter.ts";
import { laneOf, type RunRecord, statusOf, summaryOf, viewOf } from "./run-record.ts";
import { validate } from "./schema.ts";
import { dedupeHash, newIds } from "./spread.ts";
import { checkMetadata, checkRunAt, checkTerms } from "./start-options.ts";
import { startRun } from "./starting.ts";
import { definitionOf } from "./step-input.ts";
import type { Confirmations } from "./store/confirmations.ts";
import type { LaneStore } from "./store/lane-store.ts";
import type { RerunStore } from "./store/rerun-store.ts";
import type { StartStore } from "./store/start-store.ts";
import { Reply, type Store } from "./store.ts";
import { parseTraceContext } from "./trace-context.ts";
import { startInSpan } from "./tracing.ts";
import type { Values } from "./values.ts";
import { explainUnserved } from "./versions.ts";
import {
  type ItemView,
  type Page,
  type PageOptions,
  PRIORITIES,
  type RunSummary,
  type RunView,
  type StartedRun,
} from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

export const DEFAULT_TENANT = "default";

/** The graphs of workflow versions: those of this process's definitions, and those that others have stored. */
export interface Graphs {
  of(workflow: string, version: number): Promise<Graph>;
}

export interface RunsParts {
  store: Store;
  lanes: LaneStore;
  pauses: Pauses;
  starts: StartStore;
  records: Records;
  values: Values;
  /** The newest version of each. */
  workflows: ReadonlyMap<string, AnyWorkflow>;
  graphs: Graphs;
  deletion: Deletion;
  reruns: RerunStore;
  /** Every version of each. */
  definitions: readonly AnyWorkflow[];
  /** The versions that are not retired. */
  listed(): Promise<Graph[]>;
  memory: MemoryWatch;
  confirmations: Confirmations;
}

/** What can be done with runs from outside. */
export class Runs implements RunsApi {
  readonly #parts: RunsParts;

  constructor(parts: RunsParts) {
    this.#parts = parts;
  }

  /** @param wanted the id of the run, if it is to be a new one: starting it again is then safe by itself */
  async start(
    which: string | AnyWorkflow,
    input: unknown,
    options: StartOptions = {},
    wanted?: string,
  ): Promise<StartedRun> {
    const name = typeof which === "string" ? which : which.name;
    const workflow = this.#parts.workflows.get(name);
    if (workflow === undefined) throw new NotFoundError("workflow", name);
    // A tick begins a trace of its own.
    const from = wanted === undefined ? parseTraceContext(options.traceparent, options.tracestate) : "none";
    return startInSpan(name, from, (trace) => this.#start(workflow, input, options, wanted, trace));
  }

  async #start(
    workflow: AnyWorkflow,
    input: unknown,
    options: StartOptions,
    wanted: string | undefined,
    trace: string | undefined,
  ): Promise<StartedRun> {
    const { tenant = DEFAULT_TENANT, metadata, idempotency, priority = "normal" } = options;
    if (!PRIORITIES.includes(priority)) throw badPriority();
    const terms = checkTerms(options, workflow.settings);
    if (terms.start !== undefined && "atMs" in terms.start)
      checkRunAt(terms.start.atMs, await this.#parts.starts.nowMs());
    const valid = await validate(workflow.input, input, "input");
    const kept = checkMetadata(metadata);
    const json = encodeInput(valid, "input");
    const once = idempotency && (await hexDigest("SHA-256", `${idempotency.scope}\n${idempotency.key}`));
    const hash = terms.dedupe && (await dedupeHash(workflow.graph, terms.dedupe));
    const newId = newIds(this.#parts.store.partitions, workflow, json, hash);
    const fresh = wanted ?? newId();
    const payload = { json, ...(kept === undefined ? {} : { metadata: kept }) };
    const repeatable = once !== undefined || wanted !== undefined;
    // Of a tick nobody is told: its schedule is written after it, in the same partition, and so lost with it.
    const confirming = this.#parts.confirmations.begin(wanted === undefined);
    const { store, starts, memory } = this.#parts;
    let isOther = false;
    const isKnown = async () => {
      const known = once === undefined ? wanted : await starts.reserved(tenant, once);
      return known !== undefined && (await starts.status(known)) !== undefined;
    };
    const started = await memory.guard(store.partitionKeys(fresh), isKnown, async () => {
      const { digest = "" } = idempotency ?? {};
      const id = once === undefined ? fresh : await store.reserve(tenant, once, digest, fresh);
      const { via } = confirming;
      const start = { workflow, tenant, id, newId, hash, payload, priority, terms, repeatable, trace, via };
      const given = await startRun(this.#parts, start);
      // The key stands for what the deduplication gave, whatever that would give another time.
      isOther = once !== undefined && given.id !== id;
      if (isOther) await store.reserve(tenant, once!, digest, given.id, id);
      return given;
    });
    const { name, version } = workflow;
    const durability = await confirming.settle(started.id, started.created && !isOther);
    if (started.created) return { ...started, workflow: name, version, status: "queued", durability };
    const { fields } = await this.#find(started.id, tenant);
    return {
      ...started,
      durability,
      workflow: fields.workflow!,
      version: Number(fields.version),
      status: statusOf(fields),
    };
  }

  async get(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<RunView> {
    const record = await this.#find(id, tenant);
    const { graphs, values, records, store } = this.#parts;
    const graph = await graphs.of(record.fields.workflow!, Number(record.fields.version));
    const view = await viewOf(record, graph, values);
    await explainUnserved(view, graph, records, store.partitionKeys(id));
    await this.#parts.pauses.explain(view);
    return view;
  }

  async summary(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<RunSummary> {
    return summaryOf(await this.#find(id, tenant));
  }

  async list(options: Tenanted & PageOptions & RunFilter = {}): Promise<Page<RunSummary>> {
    const { tenant = DEFAULT_TENANT, ...filter } = options;
    const { store, records } = this.#parts;
    const chosen = await smallestIndex(records, store.allPartitions, tenant, filter);
    return pageOf(records, chosen, options, async (ids) => {
      const summaries = new Map((await records.summaries(ids)).map((record) => [record.id, summaryOf(record)]));
      return ids.map((id) => {
        const summary = summaries.get(id);
        return summary !== undefined && fits(summary, filter) ? summary : undefined;
      });
    });
  }

  async cancel(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<void> {
    const reply = await this.#onItsVersion(id, tenant, (graph, fields) =>
      this.#parts.store.cancel(id, graph, tenant, laneOf(fields)),
    );
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
    if (reply === Reply.Awaited)
      throw new ConflictError("run_awaited", `Run ${id} is a child run whose parent has yet to read what it came to.`);
    refuseWrongType(reply, id);
  }

  rerun(id: string, { tenant = DEFAULT_TENANT, ...options }: Tenanted & RerunOptions): Promise<StartedRun> {
    return rerun(this.#parts, id, { tenant, ...options });
  }

  async signal(id: string, name: string, data?: unknown, options: Tenanted & { key?: string } = {}): Promise<void> {
    const { tenant = DEFAULT_TENANT, key = newId() } = options;
    if (!ID_PATTERN.test(key)) throw invalidKey();
    const { values, store, definitions } = this.#parts;
    const reply = await this.#onItsVersion(id, tenant, async (graph, fields) => {
      if (shapeOf(graph).byName.get(name)?.kind !== "wait") throw new NotFoundError("signal", name);
      const json = encodeInput(data, "signal");
      // A process that knows the definition refuses at once what the step would not take: it is given what JSON made of it.
      const work = definitionOf(definitions, graph)?.steps.find((step) => step.name === name)?.work;
      if (work?.kind === "wait") await validate(work.schema, JSON.parse(json), "signal");
      const stored = await values.keep(id, tenant, name, json);
      return store.signal({ run: id, graph, tenant, lane: laneOf(fields), step: name, key, stored });
    });
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

  /** Does something by a run's graph, again if the run was moved to another version meanwhile. @throws ConflictError */
  async #onItsVersion(
    id: string,
    tenant: string,
    act: (graph: Graph, fields: RunRecord["fields"]) => Promise<Reply>,
  ): Promise<Reply> {
    for (let tries = 0; tries < 3; tries += 1) {
      const { fields } = await this.#find(id, tenant);
      const reply = await act(await this.#parts.graphs.of(fields.workflow!, Number(fields.version)), fields);
      if (reply !== Reply.Moved) return reply;
    }
    throw new ConflictError("run_moved", `Run ${id} is moved from version to version. Try again.`);
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

function refuseWrongType(reply: Reply, id: string): void {
  if (reply === Reply.WrongType)
    throw new ConflictError("wrong_type", `A key of run ${id} holds another type than Millrace keeps there.`);
}

function invalidKey(): InvalidInputError {
  const issue = { path: ["key"], message: "Expected 1 to 64 of A-Z a-z 0-9 _ -" };
  return new InvalidInputError("The key of the signal is not one.", [issue]);
}
