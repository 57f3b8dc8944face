import { delayedField } from "./commit-args.ts";
import type { ErrorRecord } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { GROUP, type PartitionKeys } from "./keys.ts";
import type { Call, Client } from "./redis/client.ts";
import { serverTimeMs } from "./redis/time.ts";
import { iso, pairs, type RunRecord } from "./run-record.ts";
import type { Store } from "./store.ts";
import type { DeadLetterView, QueueView } from "./views.ts";

/** A worker process as the others see it. */
export interface WorkerInfo {
  consumer: string;
  seenAgoMs: number;
  /** The keys of the streams that it serves. */
  streams: string[];
}

/** A worker that was not heard of for this long is no longer counted as alive. */
const ALIVE_MS = 30_000;

/** What lists show of a run, in the order in which they are read. */
const SUMMARY_FIELDS = [
  "workflow",
  "version",
  "tenant",
  "status",
  "createdAt",
  "endedAt",
  "error",
  "metadata",
  "trimmed",
];

/** The reads that change nothing and need no script. */
export class Records {
  readonly #client: Client;
  readonly #store: Store;

  constructor(client: Client, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /** What lists show of these runs, in order; without those that are gone. */
  async summaries(ids: readonly string[]): Promise<RunRecord[]> {
    const calls = ids.flatMap((id): Call[] => {
      const keys = this.#store.partitionKeys(id);
      return [
        ["HMGET", keys.run(id), ...SUMMARY_FIELDS],
        ["LLEN", keys.log(id)],
      ];
    });
    if (calls.length === 0) return [];
    const replies = await this.#client.pipeline(calls);
    const records: RunRecord[] = [];
    for (const [i, id] of ids.entries()) {
      const values = replies[2 * i] as (string | null)[];
      const fields: Record<string, string> = {};
      for (const [k, name] of SUMMARY_FIELDS.entries()) if (values[k] != null) fields[name] = values[k];
      if (fields.workflow !== undefined) records.push({ id, fields, logLength: replies[2 * i + 1] as number });
    }
    return records;
  }

  /** A page of an index, newest first: members with their times, from `maxMs` down, the first `offset` left out. */
  async newest(key: string, maxMs: number, offset: number, count: number): Promise<[id: string, ms: number][]> {
    const range: Call = ["ZRANGE", key, maxMs, "-inf", "BYSCORE", "REV", "LIMIT", offset, count, "WITHSCORES"];
    const reply = (await this.#client.call(...range)) as [string, string | number][];
    return reply.map(([id, ms]) => [id, Number(ms)]);
  }

  /** How many members each of these indexes has. */
  async sizes(keys: readonly string[]): Promise<number[]> {
    return (await this.#client.pipeline(keys.map((key): Call => ["ZCARD", key]))) as number[];
  }

  /** Where a dead letter is: its run's graph version, step, and its entry in the dead-letter stream. */
  async deadLetterPlaces(
    letters: readonly { run: string; entry: string }[],
  ): Promise<({ tenant: string; workflow: string; version: number; step: string; letter: string } | undefined)[]> {
    if (letters.length === 0) return [];
    const calls = letters.map(({ run, entry }): Call => {
      return ["HMGET", this.#store.partitionKeys(run).run(run), "tenant", "workflow", "version", `dead:${entry}`];
    });
    const replies = (await this.#client.pipeline(calls)) as (string | null)[][];
    return replies.map(([tenant, workflow, version, place]) => {
      if (tenant == null || workflow == null || place == null) return undefined;
      const [step, letter] = place.split(" ") as [string, string];
      return { tenant, workflow, version: Number(version), step, letter };
    });
  }

  /** The dead letters at these places, in order; without those that are gone. */
  async deadLetters(
    places: readonly { run: string; workflow: string; version: number; step: string; letter: string }[],
  ): Promise<DeadLetterView[]> {
    if (places.length === 0) return [];
    const calls = places.map((place): Call => {
      const key = this.#store.partitionKeys(place.run).dead(place, place.step);
      return ["XRANGE", key, place.letter, place.letter];
    });
    const replies = (await this.#client.pipeline(calls)) as [string, string[]][][];
    return replies.flatMap(([entry], i) => {
      if (entry === undefined) return [];
      const { run, workflow, version, step } = places[i]!;
      const { id, attempt, error, item } = pairs(entry[1]);
      const at = iso(entry[0].slice(0, entry[0].indexOf("-")));
      const record = JSON.parse(error!) as ErrorRecord;
      const of = item ? { item: Number(item) } : {};
      return [{ id: id!, run, workflow, version, step, ...of, attempt: Number(attempt), error: record, at }];
    });
  }

  /** Worker processes that are listed, dead ones among them. */
  async workers(keys: PartitionKeys): Promise<WorkerInfo[]> {
    const [time, flat] = (await this.#client.pipeline([["TIME"], ["HGETALL", keys.workers()]])) as [
      [string, string],
      string[],
    ];
    const now = serverTimeMs(time);
    return Object.entries(pairs(flat)).map(([consumer, value]) => {
      const space = value.indexOf(" ");
      const { streams } = JSON.parse(value.slice(space + 1)) as { streams: string[] };
      return { consumer, seenAgoMs: now - Number(value.slice(0, space)), streams };
    });
  }

  /** The figures of every step of these graphs in one partition. */
  async queues(graphs: readonly Graph[], keys: PartitionKeys): Promise<QueueView[]> {
    const steps = graphs.flatMap((graph) =>
      graph.steps.map(({ name, limits }) => {
        const stream = keys.step(graph, name);
        return { graph, step: name, streams: limits ? [stream, keys.slots(graph, name)] : [stream] };
      }),
    );
    const alive = (await this.workers(keys)).filter((worker) => worker.seenAgoMs < ALIVE_MS);
    const [time, ...counts] = await this.#client.pipeline([
      ["TIME"],
      ...steps.flatMap(({ graph, step }): Call[] => [
        ["XLEN", keys.dead(graph, step)],
        ["HGET", keys.delayed(), delayedField(graph, step)],
        ["ZCARD", keys.gateWaiting(graph, step)],
      ]),
    ]);
    const now = serverTimeMs(time as [string, string]);
    const loads = await this.#loads(steps.flatMap(({ streams }) => streams));
    return steps.map(({ graph, step, streams }, i) => {
      const [dead, delayed, limited] = counts.slice(3 * i, 3 * i + 3);
      const of = streams.map((stream) => loads.get(stream)!);
      const inFlight = of.reduce((sum, each) => sum + each.inFlight, 0);
      const length = of.reduce((sum, each) => sum + each.length, 0);
      const oldest_ms = Math.min(...of.map((each) => each.oldest_ms));
      return {
        workflow: graph.workflow,
        version: graph.version,
        step,
        depth: Math.max(0, length - inFlight),
        inFlight,
        delayed: Number(delayed ?? 0),
        limited: limited as number,
        dead: dead as number,
        oldestAgeMs: Math.max(0, now - Math.min(oldest_ms, now)),
        workers: alive.filter((worker) => worker.streams.includes(streams[0]!)).length,
      };
    });
  }

  /** How long each of these streams is, how much of it is in some worker's hands, and when its oldest entry came. */
  async #loads(
    streams: readonly string[],
  ): Promise<Map<string, { length: number; inFlight: number; oldest_ms: number }>> {
    const calls = streams.flatMap((stream): Call[] => [
      ["XLEN", stream],
      ["XINFO", "GROUPS", stream],
      ["XRANGE", stream, "-", "+", "COUNT", 1],
    ]);
    const replies = await this.#client.replies(calls);
    const failed = replies.find((reply, i) => reply instanceof Error && i % 3 !== 1);
    if (failed !== undefined) throw failed;
    return new Map(
      streams.map((stream, i) => {
        const [length, groups, oldest] = replies.slice(3 * i, 3 * i + 3);
        const first = (oldest as [string, unknown][])[0]?.[0];
        // A stream that nobody has touched yet has no group to tell of: the server answers with an error.
        const inFlight = groups instanceof Error ? 0 : pendingOf(groups as unknown[][]);
        const oldest_ms = first === undefined ? Number.POSITIVE_INFINITY : Number(first.slice(0, first.indexOf("-")));
        return [stream, { length: length as number, inFlight, oldest_ms }];
      }),
    );
  }
}

function pendingOf(groups: unknown[][]): number {
  for (const group of groups) {
    const fields = new Map<unknown, unknown>();
    for (let i = 0; i + 1 < group.length; i += 2) fields.set(group[i], group[i + 1]);
    if (fields.get("name") === GROUP) return Number(fields.get("pending"));
  }
  return 0;
}
