import { type CommitItem, commitArgs } from "./commit-args.ts";
import { type Entry, isUndo, type StepStream } from "./entry.ts";
import { encodeEvent } from "./events.ts";
import { gateKeys as keysOfGate } from "./gate-places.ts";
import { delayedField, firstSteps, type Graph, shapeOf } from "./graph.ts";
import type { NamespaceKeys, PartitionKeys } from "./keys.ts";
import { Partitions } from "./partitions.ts";
import { entryInput } from "./payload.ts";
import type { ReadHealth } from "./read-health.ts";
import type { Client, ScriptRunner } from "./redis/client.ts";
import { type LogPage, pairs, type RunRecord } from "./run-record.ts";
import { admit } from "./scripts/admit.ts";
import { cancel } from "./scripts/cancel.ts";
import { commit } from "./scripts/commit.ts";
import { discard } from "./scripts/discard.ts";
import { heartbeat } from "./scripts/heartbeat.ts";
import { putItems } from "./scripts/put-items.ts";
import { readLog } from "./scripts/read-log.ts";
import { readRun } from "./scripts/read-run.ts";
import { reclaim } from "./scripts/reclaim.ts";
import { replay } from "./scripts/replay.ts";
import { reserve } from "./scripts/reserve.ts";
import { retire } from "./scripts/retire.ts";
import { Reply, type Script } from "./scripts/script.ts";
import { signal } from "./scripts/signal.ts";
import type { CheckedTerms } from "./start-options.ts";
import { type DeadLetterPlace, parentOf, stepPlaces, waitingFor } from "./step-places.ts";
import { endingArgs } from "./store/ending.ts";
import { idempotencyMismatch, refuseWrongType } from "./store/refusals.ts";
import { termsArgs } from "./store/start-terms.ts";
import { Teller } from "./store/teller.ts";
import { UndoStore } from "./store/undo-store.ts";
import { decodeEntries } from "./streams.ts";
import { encodeTimerRow } from "./timer-rows.ts";
import type { Priority, RunStatus } from "./views.ts";

export { Reply };

/** How long an idempotency key stands for its run. */
export const ONCE_MS = 86_400_000;
/** A script keeps no more leases than this. */
const BEATS_AT_ONCE = 1_000;
/** Nor does it take over more entries than this. */
const RECLAIMED_AT_ONCE = 100;
/** How many tenants a process remembers as listed. */
const KNOWN_TENANTS = 10_000;

export interface Admission {
  id: string;
  graph: Graph;
  tenant: string;
  /** As Redis holds it. */
  input: string;
  metadata?: string;
  /** Default normal. Of any other the lane is open: see `LaneStore`. */
  priority?: Priority;
  terms?: CheckedTerms;
  /** Whose it is, for the limits of its first steps: those that are left out are asked on delivery. */
  gateKeys?: ReadonlyMap<string, string>;
  /** What waits for its end. */
  parent?: Entry;
  /** Whether it goes on when its parent is cancelled. */
  detached?: boolean;
  /** The trace that it is of, as Redis holds it. */
  trace?: string | undefined;
}

/** What is sent to a step of a run: under which key, and as Redis holds it. */
export interface Signal {
  run: string;
  graph: Graph;
  tenant: string;
  /** The run's lane; default normal. */
  lane?: Priority;
  step: string;
  key: string;
  stored: string;
}

/** Every read and write of what Redis holds of runs. */
export class Store {
  readonly keys: NamespaceKeys;
  readonly #client: Client;
  readonly partitions: Partitions;
  readonly #undos: UndoStore;
  /** Those that this process knows to be listed. */
  readonly #tenants = new Set<string>();
  readonly teller: Teller;

  /** @param partitions how many the namespace has */
  constructor(client: Client, keys: NamespaceKeys, partitions = 1) {
    this.#client = client;
    this.teller = new Teller(client);
    this.keys = keys;
    this.partitions = new Partitions(keys, partitions);
    this.#undos = new UndoStore(this.teller, (id) => this.partitionKeys(id));
  }

  /** The keys of the partition that a run's id carries. */
  partitionKeys(run: string): PartitionKeys {
    return this.partitions.of(run);
  }

  get allPartitions(): readonly PartitionKeys[] {
    return this.partitions.all;
  }

  /** Stores a run, by a script that runs `via`. True if it is new, false if it was there, or what is to wait for it does not any more. */
  async admit(admission: Admission, via?: ScriptRunner): Promise<boolean> {
    const { id, graph, tenant, input, metadata, priority = "normal", parent, detached = false, terms = {} } = admission;
    const { gateKeys = new Map<string, string>() } = admission;
    if (!this.#tenants.has(tenant)) await this.#addTenant(tenant);
    const keys = this.partitionKeys(id);
    const firsts = firstSteps(graph);
    const more = termsArgs(keys, { id, graph, tenant }, terms);
    const waiting = parent === undefined ? { keys: [], args: [] } : waitingFor(keys, parent, detached);
    const indexes = [keys.runsByStatus(tenant, "queued"), keys.runsByWorkflow(tenant, graph.workflow)];
    const streams = firsts.map((step) => keys.step(graph, step, priority));
    const gates = firsts.filter((step) => gateKeys.has(step)).flatMap((step) => keysOfGate(keys, graph, step));
    if (gates.length > 0) gates.unshift(keys.timers(), keys.runsByStatus(tenant, "waiting"));
    const of = [id, graph.workflow, graph.version, tenant, input, metadata ?? "", entryInput(input)];
    const how = [shapeOf(graph).plain ? "" : "counted", parent === undefined ? "" : parentOf(parent, detached)];
    how.push(priority === "normal" ? "" : priority, admission.trace ?? "");
    const steps = [firsts.length, gateKeys.size, ...firsts.flatMap((step) => [step, gateKeys.get(step) ?? ""])];
    const reply = (await this.teller.run(
      admit,
      keys,
      [keys.run(id), keys.log(id), ...indexes, ...streams, ...gates, ...more.keys, ...waiting.keys],
      [...of, encodeEvent({ type: "run.queued" }), ...how, ...steps, ...more.args, ...waiting.args],
      via,
    )) as [Reply, string?];
    refuseWrongType(reply[0], `run ${id}`);
    return reply[0] === Reply.Done;
  }

  /**
   * The run id that an idempotency key stands for: `run`, if the key is new or stood for `instead` so far.
   *
   * @throws ConflictError
   */
  async reserve(tenant: string, hash: string, digest: string, run: string, instead = ""): Promise<string> {
    const args = [digest, run, ONCE_MS, encodeTimerRow({ kind: "forget", tenant, hash }), instead];
    const keys = this.partitions.keyed(hash);
    const reply = (await this.#run(reserve, [keys.once(tenant, hash), keys.timers()], args)) as [
      Reply,
      string,
      string?,
    ];
    refuseWrongType(reply[0], "the idempotency key");
    if (reply[0] === Reply.Already && reply[2] !== digest) throw idempotencyMismatch();
    return reply[1];
  }

  /** Commits up to 100 items of one partition, or one of an entry that undoes a step; a reply for each. */
  async commit(consumer: string, items: readonly CommitItem[]): Promise<Reply[]> {
    if (isUndo(items[0]!.entry)) return [await this.#undos.commit(consumer, items[0]!)];
    const partition = this.partitionKeys(items[0]!.entry.run);
    const { keys, args } = commitArgs(partition, consumer, items);
    return (await this.teller.run(commit, partition, keys, args)) as Reply[];
  }

  /**
   * Renews the leases of entries of one partition, grouped by stream, each group in the order of its ids.
   *
   * @returns those whose lease is lost
   */
  async heartbeat(
    consumer: string,
    leaseMs: number,
    streams: readonly StepStream[],
    held: readonly Entry[][],
    health?: ReadHealth,
  ): Promise<Entry[]> {
    const partition = streams[0]!.keys;
    const keys = [partition.workers(), partition.beats(), ...streams.map((stream) => stream.key)];
    const info = JSON.stringify({ streams: streams.map((stream) => stream.key), ...health });
    const lost: Entry[] = [];
    const size = Math.max(0, ...held.map((entries) => entries.length));
    const share = Math.ceil(BEATS_AT_ONCE / streams.length);
    for (let from = 0; from === 0 || from < size; from += share) {
      const asked = held.map((entries) => entries.slice(from, from + share));
      const args = asked.flatMap((entries) => [entries.length, ...entries.flatMap(({ id, count }) => [id, count])]);
      const replies = (await this.#run(heartbeat, keys, [consumer, leaseMs, info, ...args])) as Reply[];
      lost.push(...asked.flat().filter((_, i) => replies[i] !== Reply.Done));
    }
    return lost;
  }

  /**
   * Takes over entries whose lease has run out (`expired`), or takes up this consumer's own that it does not hold
   * (`own`).
   *
   * @param lastChances how many at most that are on their last chance (`expired`)
   * @param onLeft called if others are that were left
   */
  async reclaim(
    stream: StepStream,
    consumer: string,
    mode: "expired" | "own",
    leaseMs: number,
    limit: number,
    held: readonly Entry[],
    lastChances = 0,
    onLeft?: () => void,
  ): Promise<Entry[]> {
    const limits = [Math.min(limit, RECLAIMED_AT_ONCE), stream.step.crashes, lastChances];
    const args = [consumer, mode, leaseMs, ...limits, ...held.map((entry) => entry.id)];
    const found = await this.#run(reclaim, [stream.key, stream.keys.beats()], args);
    const [left, ...taken] = found as [number, ...[string, number, string[]][]];
    if (left > 0) onLeft?.();
    return decodeEntries(taken.map(([id, count, fields]) => ({ stream, id, count, fields })));
  }

  /** Fields of a run; null for those that it does not have. */
  async readFields(run: string, ...fields: string[]): Promise<(string | null)[]> {
    return (await this.#client.call("HMGET", this.partitionKeys(run).run(run), ...fields)) as (string | null)[];
  }

  /** Fields of the chunk that an item of a step is in. */
  async readChunk(run: string, step: string, chunk: number, ...fields: string[]): Promise<(string | null)[]> {
    const key = this.partitionKeys(run).chunk(run, step, chunk);
    return (await this.#client.call("HMGET", key, ...fields)) as (string | null)[];
  }

  /** Whether a step of a run has begun with its items. */
  async hasItems(run: string, step: string): Promise<boolean> {
    return (await this.#client.call("HEXISTS", this.partitionKeys(run).run(run), `items:${step}`)) === 1;
  }

  /** What is kept of the live items of a step, by field. */
  async readLiveItems(run: string, step: string): Promise<Record<string, string>> {
    return pairs((await this.#client.call("HGETALL", this.partitionKeys(run).items(run, step))) as string[]);
  }

  /** Stores the inputs of a held step's items: of consecutive chunks, from this one on. */
  async putItems(consumer: string, entry: Entry, from: number, chunks: readonly string[]): Promise<Reply> {
    const keys = this.partitionKeys(entry.run);
    const { key, step } = entry.stream;
    const chunkKeys = chunks.map((_, i) => keys.chunk(entry.run, step.name, from + i));
    const args = [consumer, entry.id, entry.count, step.name, from + chunks.length, ...chunks];
    return (await this.#run(putItems, [keys.run(entry.run), key, ...chunkKeys], args)) as Reply;
  }

  /** Hands a signal to the step that waits for it, or keeps it until one does. */
  async signal({ run, graph, tenant, lane = "normal", step, key, stored }: Signal): Promise<Reply> {
    const keys = this.partitionKeys(run);
    const indexes = ["waiting", "running"].map((status) => keys.runsByStatus(tenant, status));
    return (await this.#run(
      signal,
      [keys.run(run), keys.timers(), keys.delayed(), keys.step(graph, step, lane), ...indexes],
      [run, step, key, stored, delayedField(graph, step)],
    )) as Reply;
  }

  /**
   * Lets a failed run go on from its dead letter, or has a step undone again.
   *
   * @param input another one for the step, as Redis holds it
   */
  async replay(place: DeadLetterPlace, input = ""): Promise<Reply> {
    if (place.undo) return this.#undos.replay(place);
    const { id, run, entry, graph, tenant, step, lane = "normal" } = place;
    const keys = this.partitionKeys(run);
    const steps = stepPlaces(keys, run, graph, lane);
    return (await this.teller.run(
      replay,
      keys,
      [
        keys.run(run),
        keys.log(run),
        keys.dead(graph, step),
        keys.deadLetters(tenant),
        keys.runsByStatus(tenant, "failed"),
        keys.runsByStatus(tenant, "queued"),
        ...steps.keys,
      ],
      [run, id, entry, encodeEvent({ type: "run.queued" }), input, ...steps.args],
    )) as Reply;
  }

  /** Drops a dead letter. */
  async discard({ id, run, entry, graph, tenant, step }: DeadLetterPlace): Promise<Reply> {
    const keys = this.partitionKeys(run);
    const touched = [keys.run(run), keys.dead(graph, step), keys.deadLetters(tenant)];
    return (await this.#run(discard, touched, [id, entry])) as Reply;
  }

  /** Ends a run by wish, and tells the workers. */
  async cancel(run: string, graph: Graph, tenant: string, lane: Priority = "normal"): Promise<Reply> {
    const of = { run, graph, tenant, lane };
    const own = this.partitionKeys(run);
    const { keys, args, steps } = endingArgs(own, of, "cancelled", { type: "run.cancelled" });
    return (await this.teller.run(cancel, own, keys, [...args, ...steps])) as Reply;
  }

  /** Takes a worker off the list of a partition. False while entries are pending for it there. */
  async retire(consumer: string, keys: PartitionKeys, streams: readonly string[]): Promise<boolean> {
    return (await this.#run(retire, [keys.workers(), ...streams], [consumer])) === Reply.Done;
  }

  /** A run's whole record; undefined if there is none of that id for this tenant. */
  async readRun(id: string, tenant: string): Promise<RunRecord | undefined> {
    const keys = this.partitionKeys(id);
    const [logLength, ...flat] = (await this.#run(readRun, [keys.run(id), keys.log(id)], [])) as [number, ...string[]];
    refuseWrongType(logLength, `run ${id}`);
    const fields = pairs(flat);
    return fields.tenant === tenant ? { id, fields, logLength } : undefined;
  }

  /** Reads on in a run's log: up to `limit` lines after number `after`, whose time was `tag` if that is known. */
  async readLog(run: string, after: number, tag: number | undefined, limit: number): Promise<LogPage> {
    const keys = this.partitionKeys(run);
    const reply = await this.#run(readLog, [keys.run(run), keys.log(run)], [after, tag ?? "", limit]);
    const [code, last, status, tenant, ...lines] = reply as [Reply, number, RunStatus, string, ...string[]];
    refuseWrongType(code, `run ${run}`);
    if (code === Reply.UnknownRun) return { found: false };
    return { found: true, stale: code === Reply.Stale, last, status, tenant, lines };
  }

  /** Before its first run, so that no run is of a tenant that nobody can find. */
  async #addTenant(tenant: string): Promise<void> {
    await this.#client.call("SADD", this.keys.tenants(), tenant);
    if (this.#tenants.size >= KNOWN_TENANTS) this.#tenants.clear();
    this.#tenants.add(tenant);
  }

  #run(script: Script, keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.#client.run(script, keys, args);
  }
}
