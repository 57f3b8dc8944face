import type { ErrorRecord } from "./errors.ts";
import { workflowVersion } from "./graph.ts";
import type { PartitionKeys } from "./keys.ts";
import type { ReadHealth } from "./read-health.ts";
import type { Call, Client } from "./redis/client.ts";
import { serverTimeMs } from "./redis/time.ts";
import { iso, pairs, type RunRecord } from "./run-record.ts";
import type { Store } from "./store.ts";
import type { DeadLetterView, Priority } from "./views.ts";

/** A worker process as the others see it. */
export interface WorkerInfo extends ReadHealth {
  consumer: string;
  seenAgoMs: number;
  /** The keys of the streams that it serves. */
  streams: string[];
}

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
  "usage",
  "budget",
  "priority",
  "trimmed",
  "ending",
  "startsAt",
  "ttlMs",
  "deadlineMs",
  "tags",
];

const PLACE_FIELDS = ["tenant", "workflow", "version", "priority"];

/** Where a dead letter is, whether it is of its step's undo, and the lane of its run. */
interface LetterPlace {
  tenant: string;
  workflow: string;
  version: number;
  step: string;
  letter: string;
  undo: boolean;
  lane: Priority;
}

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

  /** A page of an index, oldest first. */
  async oldest(key: string, from: number, count: number): Promise<string[]> {
    return (await this.#client.call("ZRANGE", key, from, from + count - 1)) as string[];
  }

  /** Of each of these runs its workflow version; `@` for one that is gone. */
  async versionsOf(ids: readonly string[]): Promise<string[]> {
    const calls = ids.map((id): Call => ["HMGET", this.#store.partitionKeys(id).run(id), "workflow", "version"]);
    const replies = (await this.#client.pipeline(calls)) as (string | null)[][];
    return replies.map(([workflow, version]) => workflowVersion({ workflow: workflow ?? "", version: version ?? "" }));
  }

  /** How many members each of these indexes has. */
  async sizes(keys: readonly string[]): Promise<number[]> {
    return (await this.#client.pipeline(keys.map((key): Call => ["ZCARD", key]))) as number[];
  }

  /** Where a dead letter is: its run's graph version, step, and its entry in the dead-letter stream. */
  async deadLetterPlaces(letters: readonly { run: string; entry: string }[]): Promise<(LetterPlace | undefined)[]> {
    if (letters.length === 0) return [];
    const calls = letters.map(({ run, entry }): Call => {
      return ["HMGET", this.#store.partitionKeys(run).run(run), ...PLACE_FIELDS, `dead:${entry}`];
    });
    const replies = (await this.#client.pipeline(calls)) as (string | null)[][];
    return replies.map(([tenant, workflow, version, priority, place]) => {
      if (tenant == null || workflow == null || place == null) return undefined;
      const [step, letter, of] = place.split(" ") as [string, string, string?];
      const lane = (priority ?? "normal") as Priority;
      return { tenant, workflow, version: Number(version), step, letter, undo: of === "undo", lane };
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
      const { id, attempt, error, item, undo } = pairs(entry[1]);
      const at = iso(entry[0].slice(0, entry[0].indexOf("-")));
      const record = JSON.parse(error!) as ErrorRecord;
      const of = item ? { item: Number(item) } : undo ? { undo: true as const } : {};
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
      const told = JSON.parse(value.slice(space + 1)) as { streams: string[] } & Partial<ReadHealth>;
      const { streams, silentMs = 0, readerErrors = {} } = told;
      return { consumer, seenAgoMs: now - Number(value.slice(0, space)), streams, silentMs, readerErrors };
    });
  }
}
