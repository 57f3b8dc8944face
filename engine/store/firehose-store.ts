import { MillraceError } from "../errors.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Call, Client } from "../redis/client.ts";
import { readChanged } from "../scripts/read-changed.ts";
import { readEnds } from "../scripts/read-ends.ts";
import { readSince } from "../scripts/read-since.ts";
import { Reply } from "../scripts/script.ts";
import type { Store } from "../store.ts";
import type { RunStatus } from "../views.ts";
import { refuseWrongType } from "./refusals.ts";

/** So many runs a script looks at. */
const AT_ONCE = 100;
/** So many events are read of a log at once. */
const PAGE = 200;

export const LIVE: readonly RunStatus[] = ["queued", "waiting", "running"];

/** What of a run never changes and decides who is told of it. */
export interface RunInfo {
  run: string;
  tenant: string;
  workflow: string;
  tags: readonly string[];
}

/** The events of a run of later than some time; `stale`: some of them are no longer in its log. */
export type SincePage =
  | { found: false }
  | { found: true; stale: boolean; tenant: string; last: number; first: number; lines: string[] };

/** That a run has ended, and may be gone by now. */
export interface RunEnd {
  run: string;
  workflow: string;
  /** In ms. */
  at: number;
}

/** The reads by which many runs are watched. */
export class FirehoseStore {
  readonly #client: Client;
  readonly #store: Store;

  constructor(client: Client, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /** The time of runs at the server, on a cluster at the one that is furthest behind; `calls` are made there after it was read. */
  async time(callOf?: (server: number, servers: number) => Call): Promise<number> {
    const servers = this.#client.masters();
    const times = servers.map(async (server, i) => {
      const { nowMs } = await server.timed(callOf === undefined ? [] : [callOf(i, servers.length)]);
      return nowMs;
    });
    return Math.min(...(await Promise.all(times)));
  }

  /** What is known of these runs; without those that are gone. */
  async infos(runs: readonly string[]): Promise<RunInfo[]> {
    const calls = runs.map(
      (run): Call => ["HMGET", this.#store.partitionKeys(run).run(run), "tenant", "workflow", "tags"],
    );
    const replies = (await this.#client.pipeline(calls)) as (string | null)[][];
    return replies.flatMap(([tenant, workflow, tags], i) =>
      tenant == null || workflow == null ? [] : [infoOf(runs[i]!, tenant, workflow, tags ?? "")],
    );
  }

  /** How many runs of a tenant are live, and how many times one has ended since; infinite if that is not known any more. */
  async size(tenant: string, since: number): Promise<number> {
    const partitions = this.#store.allPartitions;
    const live = partitions.flatMap((keys) => LIVE.map((status): Call => ["ZCARD", keys.runsByStatus(tenant, status)]));
    const [counts, ends] = await Promise.all([
      this.#client.pipeline(live) as Promise<number[]>,
      Promise.all(partitions.map((keys) => this.ends(keys, tenant, since, 0, 0))),
    ]);
    const ended = ends.map((page) => page?.count ?? Number.POSITIVE_INFINITY);
    return [...counts, ...ended].reduce((sum, each) => sum + each, 0);
  }

  /**
   * The ends of runs of a tenant that are of later than some time, the oldest first, but for so many; undefined if they are not known
   * any more.
   */
  async ends(
    keys: PartitionKeys,
    tenant: string,
    since: number,
    skip: number,
    limit: number,
  ): Promise<{ count: number; ends: RunEnd[] } | undefined> {
    const reply = await this.#client.run(readEnds, [keys.ends(tenant)], [since, skip, limit]);
    const [code, count, ...lines] = reply as [Reply, number, ...string[]];
    if (code === Reply.WrongType)
      throw new MillraceError("wrong_type", "What is noted of runs that have ended has another type than it should.");
    if (code === Reply.Stale) return undefined;
    const ends = lines.map((line): RunEnd => {
      const [at, run, workflow] = line.split(" ") as [string, string, string];
      return { run, workflow, at: Number(at) };
    });
    return { count, ends };
  }

  /** Runs in an index that were made at some time or later, the oldest first, with their times: up to `count`. */
  async page(key: string, from: number, count: number): Promise<[run: string, ms: number][]> {
    const range: Call = ["ZRANGE", key, from, "+inf", "BYSCORE", "LIMIT", 0, count, "WITHSCORES"];
    const reply = (await this.#client.call(...range)) as [string, string | number][];
    return reply.map(([run, ms]) => [run, Number(ms)]);
  }

  /** Those of these runs that have events of later than some time. */
  async changed(keys: PartitionKeys, runs: readonly string[], since: number): Promise<RunInfo[]> {
    const parts: string[][] = [];
    for (let at = 0; at < runs.length; at += AT_ONCE) parts.push(runs.slice(at, at + AT_ONCE));
    const found = await Promise.all(parts.map((part) => this.#changedOf(keys, part, since)));
    return found.flat();
  }

  async #changedOf(keys: PartitionKeys, runs: readonly string[], since: number): Promise<RunInfo[]> {
    const all = runs.flatMap((run) => [keys.run(run), keys.log(run)]);
    const reply = (await this.#client.run(readChanged, all, [since])) as (string | number)[];
    const infos: RunInfo[] = [];
    for (let i = 0; i + 3 < reply.length; i += 4) {
      const [place, tenant, workflow, tags] = reply.slice(i, i + 4);
      infos.push(infoOf(runs[Number(place) - 1]!, String(tenant), String(workflow), String(tags)));
    }
    return infos;
  }

  async since(run: string, ms: number): Promise<SincePage> {
    const keys = this.#store.partitionKeys(run);
    const reply = await this.#client.run(readSince, [keys.run(run), keys.log(run)], [ms, PAGE]);
    const [code, last, tenant, first, ...lines] = reply as [Reply, number, string, number, ...string[]];
    refuseWrongType(code, `run ${run}`);
    if (code === Reply.UnknownRun) return { found: false };
    return { found: true, stale: code === Reply.Stale, tenant, last, first, lines };
  }
}

function infoOf(run: string, tenant: string, workflow: string, tags: string): RunInfo {
  return { run, tenant, workflow, tags: tags === "" ? [] : JSON.parse(tags) };
}
