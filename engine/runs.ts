import type { BlobStore } from "./blobs/blob-store.ts";
import { hexDigest } from "./digest.ts";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { newRunId } from "./ids.ts";
import { pageOf } from "./listing.ts";
import type { RunFilter, RunsApi, StartOptions, Tenanted } from "./millrace.ts";
import { encodeInput } from "./payload.ts";
import type { Records } from "./records.ts";
import { fits, smallestIndex } from "./run-filter.ts";
import { type RunRecord, summaryOf, viewOf } from "./run-record.ts";
import { validate } from "./schema.ts";
import { checkTerms } from "./start-options.ts";
import { startRun } from "./starting.ts";
import type { StartStore } from "./store/start-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Durability, Page, PageOptions, RunStatus, RunSummary, RunView, StartedRun } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

export const DEFAULT_TENANT = "default";
const METADATA_LIMIT = 8_192;

/** The graphs of workflow versions: those of this process's definitions, and those that others have stored. */
export interface Graphs {
  of(workflow: string, version: number): Promise<Graph>;
}

export interface RunsParts {
  store: Store;
  starts: StartStore;
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
    const { tenant = DEFAULT_TENANT, metadata, idempotency } = options;
    const terms = checkTerms(options, workflow.deadlineMs);
    const valid = await validate(workflow.input, input, "input");
    const kept = metadata === undefined ? undefined : encodeInput(metadata, "metadata");
    if (kept !== undefined && kept.length > METADATA_LIMIT) throw tooLong("metadata", METADATA_LIMIT);
    const json = encodeInput(valid, "input");
    let id = newRunId(0);
    const once = idempotency && (await hexDigest("SHA-256", `${idempotency.scope}\n${idempotency.key}`));
    if (once !== undefined) id = await this.#parts.store.reserve(tenant, once, idempotency!.digest, id);
    const payload = { json, ...(kept === undefined ? {} : { metadata: kept }) };
    const started = await startRun(this.#parts, {
      workflow,
      tenant,
      id,
      payload,
      terms,
      repeatable: once !== undefined,
    });
    // The key stands for what the deduplication gave, whatever that would give another time.
    if (once !== undefined && started.id !== id)
      await this.#parts.store.reserve(tenant, once, idempotency!.digest, started.id, id);
    const { version } = workflow;
    const durability = this.#parts.durability();
    if (started.created) return { ...started, workflow: name, version, status: "queued", durability };
    const { fields } = await this.#find(started.id, tenant);
    return {
      ...started,
      durability,
      workflow: fields.workflow!,
      version: Number(fields.version),
      status: fields.status as RunStatus,
    };
  }

  async get(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<RunView> {
    const record = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(record.fields.workflow!, Number(record.fields.version));
    return viewOf(record, graph, this.#parts.blobs);
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
    const { fields } = await this.#find(id, tenant);
    const graph = await this.#parts.graphs.of(fields.workflow!, Number(fields.version));
    const reply = await this.#parts.store.cancel(id, graph, tenant);
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

function tooLong(path: string, limit: number): InvalidInputError {
  const message = `At most ${limit} characters of JSON`;
  return new InvalidInputError(`The ${path} is too long.`, [{ path: [path], message }]);
}
