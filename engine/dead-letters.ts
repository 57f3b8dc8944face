import { Bulk } from "./bulk.ts";
import type { DeadLetterFilter, DeadLettersApi } from "./dead-letters-api.ts";
import { ConflictError, type ErrorRecord, FatalError, InvalidInputError, NotFoundError } from "./errors.ts";
import { type Graph, inputFields, shapeOf } from "./graph.ts";
import { historyOf } from "./history.ts";
import { parseDeadLetterId } from "./ids.ts";
import { CHUNK, chunkOf } from "./keys.ts";
import { cursorBefore, pageOf } from "./listing.ts";
import type { Tenanted } from "./millrace.ts";
import { encodeInput } from "./payload.ts";
import type { Records } from "./records.ts";
import type { RunRecord } from "./run-record.ts";
import { DEFAULT_TENANT, type Graphs } from "./runs.ts";
import { validInput } from "./step-input.ts";
import type { DeadLetterPlace } from "./step-places.ts";
import type { OperationStore } from "./store/operation-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Values } from "./values.ts";
import type { DeadLetterDetails, DeadLetterView, OperationView, Page, PageOptions } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

type BulkOptions = Tenanted & { limit?: number; id?: string };

export interface DeadLettersParts {
  store: Store;
  records: Records;
  graphs: Graphs;
  values: Values;
  operations: OperationStore;
  /** Every version of every definition that this process has. */
  definitions: readonly AnyWorkflow[];
}

/** What operators do with steps that failed for good. */
export class DeadLetters implements DeadLettersApi {
  readonly #parts: DeadLettersParts;
  /** What acts on many of them. */
  readonly bulk: Bulk;

  constructor(parts: DeadLettersParts) {
    this.#parts = parts;
    this.bulk = new Bulk(this, parts.operations);
  }

  async list(options: Tenanted & PageOptions & DeadLetterFilter = {}): Promise<Page<DeadLetterView>> {
    const { tenant = DEFAULT_TENANT, workflow, step, errorCode, before, after, limit, cursor } = options;
    const { store, records } = this.#parts;
    const [from, to] = [timeOf("after", after) ?? 0, timeOf("before", before)];
    const start = cursor ?? (to === undefined ? undefined : cursorBefore(to));
    const page: PageOptions = {
      ...(limit === undefined ? {} : { limit }),
      ...(start === undefined ? {} : { cursor: start }),
    };
    const indexes = store.allPartitions.map((keys) => keys.deadLetters(tenant));
    return pageOf(records, indexes, page, async (ids) => {
      const parsed = ids.map((id) => parseDeadLetterId(id) ?? { run: id, entry: "" });
      const places = await records.deadLetterPlaces(parsed);
      const wanted = places.flatMap((place, i) => {
        if (place === undefined || (workflow ?? place.workflow) !== place.workflow) return [];
        return (step ?? place.step) === place.step ? [{ ...place, run: parsed[i]!.run }] : [];
      });
      const letters = new Map<string, DeadLetterView>();
      for (const letter of await records.deadLetters(wanted)) {
        const died = Date.parse(letter.at);
        if (died < from || (to !== undefined && died >= to)) continue;
        if (errorCode !== undefined && letter.error.code !== errorCode) continue;
        letters.set(letter.id, { ...letter, error: withoutStack(letter.error) });
      }
      return ids.map((id) => letters.get(id));
    });
  }

  async get(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<DeadLetterDetails> {
    const { store, records } = this.#parts;
    const { place, letter } = await this.#find(id, tenant);
    const { run, step, graph } = place;
    const [view] = await records.deadLetters([{ ...graph, run, step, letter }]);
    const record = await store.readRun(run, tenant);
    if (view === undefined || record === undefined) throw new NotFoundError("dead letter", id);
    const input = await this.#input(record, graph, step, view.item);
    return { ...view, ...input, history: await historyOf(store, record, { step, item: view.item, undo: view.undo }) };
  }

  async replay(
    id: string,
    { tenant = DEFAULT_TENANT, input }: Tenanted & { input?: unknown } = {},
  ): Promise<{ run: string; step: string }> {
    const { place } = await this.#find(id, tenant);
    if (input !== undefined && place.undo)
      throw new ConflictError("input_of_undo", `The undo of step ${place.step} is given what the step was given.`);
    if (input !== undefined && (await this.#parts.store.hasItems(place.run, place.step)))
      throw new ConflictError(
        "input_of_items",
        `Step ${place.step} is at its items: its input cannot be changed any more.`,
      );
    const stored = input === undefined ? undefined : await this.#storeInput(place, input);
    this.#refuse(id, await this.#parts.store.replay(place, stored));
    return { run: place.run, step: place.step };
  }

  async discard(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<void> {
    const { place } = await this.#find(id, tenant);
    this.#refuse(id, await this.#parts.store.discard(place));
  }

  replayMany(filter: DeadLetterFilter, options: BulkOptions = {}): Promise<OperationView> {
    return this.#start("replay", filter, options);
  }

  discardMany(filter: DeadLetterFilter, options: BulkOptions = {}): Promise<OperationView> {
    return this.#start("discard", filter, options);
  }

  operation(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<OperationView> {
    return this.bulk.get(id, tenant);
  }

  async #start(
    kind: "replay" | "discard",
    { workflow, step, errorCode, before, after }: DeadLetterFilter,
    { tenant = DEFAULT_TENANT, limit, id }: BulkOptions,
  ): Promise<OperationView> {
    timeOf("before", before);
    timeOf("after", after);
    const filter = { workflow, step, errorCode, before, after } as DeadLetterFilter;
    return this.bulk.start(kind, filter, { tenant, limit, id });
  }

  async #find(id: string, tenant: string): Promise<{ place: DeadLetterPlace; letter: string }> {
    const parsed = parseDeadLetterId(id);
    if (parsed === undefined) throw new NotFoundError("dead letter", id);
    const [place] = await this.#parts.records.deadLetterPlaces([parsed]);
    if (place === undefined || place.tenant !== tenant) throw new NotFoundError("dead letter", id);
    const graph = await this.#parts.graphs.of(place.workflow, place.version);
    const { step, undo, lane, letter } = place;
    return { place: { ...parsed, id, tenant, step, undo, graph, lane }, letter };
  }

  /** As Redis holds it. A step that takes the run's input gets what the workflow's schema makes of it. */
  async #storeInput({ run, tenant, graph, step }: DeadLetterPlace, input: unknown): Promise<string> {
    const { values, definitions } = this.#parts;
    const json = encodeInput(await validInput(definitions, graph, step, input), "input");
    return values.keep(run, tenant, `input-${step}`, json);
  }

  /** What the step, or the item, was given; nothing if that is gone. */
  async #input(
    { id, fields }: RunRecord,
    graph: Graph,
    step: string,
    item: number | undefined,
  ): Promise<{ input?: unknown }> {
    const { store, values } = this.#parts;
    const tenant = fields.tenant!;
    try {
      const given = fields[`input:${step}`];
      const shape = shapeOf(graph).byName.get(step);
      if (item !== undefined && shape?.kind === "map") {
        const [stored] = await store.readChunk(id, step, chunkOf(item), "in");
        return stored == null ? {} : { input: ((await values.get(tenant, stored)) as unknown[])[item % CHUNK] };
      }
      if (item !== undefined && item > 0) {
        const [stored] = await store.readChunk(id, step, chunkOf(item - 1), `${item - 1}`);
        return stored == null ? {} : { input: await values.get(tenant, stored) };
      }
      if (given !== undefined) return { input: await values.get(tenant, given) };
      const names = inputFields(graph, step).map((name) => fields[name] ?? null);
      return { input: await values.join(tenant, shape?.after ?? [], names) };
    } catch (error) {
      if (error instanceof FatalError) return {};
      throw error;
    }
  }

  #refuse(id: string, reply: Reply): void {
    if (reply === Reply.UnknownRun) throw new NotFoundError("dead letter", id);
    if (reply === Reply.RunEnded)
      throw new ConflictError("run_undone", "What the run had done was undone when it failed: start it again instead.");
    if (reply === Reply.Stale)
      throw new ConflictError("run_moved_on", "The run is no longer at the step that this dead letter is of.");
    if (reply === Reply.WrongType)
      throw new ConflictError("wrong_type", "A key of this dead letter holds another type than Millrace keeps there.");
  }
}

function withoutStack({ stack: _stack, ...error }: ErrorRecord): ErrorRecord {
  return error;
}

/** @throws InvalidInputError for a date that is none */
function timeOf(path: string, date: Date | undefined): number | undefined {
  const ms = date?.getTime();
  if (ms !== undefined && !(ms >= 0)) {
    const message = "Expected a date of 1970 or later";
    throw new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
  }
  return ms;
}
