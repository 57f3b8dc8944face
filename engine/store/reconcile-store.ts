import { type Graph, shapeOf, workflowVersion } from "../graph.ts";
import type { NamespaceKeys, PartitionKeys } from "../keys.ts";
import { logger } from "../log.ts";
import {
  type Fields,
  isLiveRun,
  itemPlaces,
  type LivePlace,
  parentRun,
  placesOf,
  RUN_FIELDS,
  stepFields,
} from "../places.ts";
import type { Call, Client } from "../redis/client.ts";
import { laneOf, pairs, statusOf } from "../run-record.ts";
import { DEFAULT_TENANT } from "../runs.ts";
import { holdSweep } from "../scripts/hold-sweep.ts";
import { reconcile } from "../scripts/reconcile.ts";
import { recount } from "../scripts/recount.ts";
import { Reply } from "../scripts/script.ts";
import type { TimerRow } from "../timer-rows.ts";
import type { LaneStore } from "./lane-store.ts";
import { pauseField } from "./pause-store.ts";
import { type ReadRun, ReconcileArgs } from "./reconcile-args.ts";

const log = logger("reconciler");

/** A script looks at no more runs, nor places, than this. */
const AT_ONCE = 100;

/** Where a walk over an index is: the score of the last member that was read, and how many of that score were. */
export interface IndexPosition {
  score: number;
  skip: number;
}

/** What was found and put back. */
export interface Found {
  places: number;
  /** Runs of which a row of an index or of a limit was gone. */
  rows: number;
}

export interface ReconcileParts {
  client: Client;
  space: NamespaceKeys;
  keys: PartitionKeys;
  lanes: LaneStore;
  /** The graph of a workflow version that is stored or that this process has. */
  graph(workflow: string, version: number): Promise<Graph | undefined>;
  /** A connection to the node of the partition. */
  openNode(keys: PartitionKeys): Promise<Client>;
}

/** What the reconciler reads and puts back in one partition. */
export class ReconcileStore {
  readonly #parts: ReconcileParts;

  constructor(parts: ReconcileParts) {
    this.#parts = parts;
  }

  /** As `RetentionStore.hold`, for the walk of the reconciler. */
  async hold(owner: string, ms: number, position?: string): Promise<{ now: number; position: string } | undefined> {
    const { client, keys } = this.#parts;
    const reply = await client.run(holdSweep, [keys.reconciler()], [owner, ms, position ?? "="]);
    const [now, reached] = reply as [number?, string?];
    return now === undefined ? undefined : { now, position: reached! };
  }

  /** Every tenant that is known to have had a run; the default one may have a schedule that has started none yet. */
  async tenants(): Promise<string[]> {
    const listed = (await this.#parts.client.call("SMEMBERS", this.#parts.space.tenants())) as string[];
    return [...new Set([...listed, DEFAULT_TENANT])].sort();
  }

  /** A page of an index from the oldest on, and where the next one begins; undefined if that was the last. */
  async page(key: string, from: IndexPosition): Promise<{ members: string[]; next: IndexPosition | undefined }> {
    const { score, skip } = from;
    const range: Call = ["ZRANGE", key, score, "+inf", "BYSCORE", "LIMIT", skip, AT_ONCE, "WITHSCORES"];
    const rows = (await this.#parts.client.call(...range)) as [string, string | number][];
    const members = rows.map(([member]) => member);
    const last = Number(rows.at(-1)?.[1] ?? score);
    const same = rows.filter(([, each]) => Number(each) === last).length;
    const next = { score: last, skip: last === score ? skip + same : same };
    return { members, next: rows.length < AT_ONCE ? undefined : next };
  }

  /** Goes on through the names of all keys: runs that their indexes do not name, by tenant. Tenants of any are listed. */
  async unlisted(cursor: string, batch: number): Promise<{ cursor: string; runs: Map<string, string[]> }> {
    const { client, keys } = this.#parts;
    const node = client.isCluster ? await this.#parts.openNode(keys) : client;
    try {
      const prefix = keys.run("");
      const scan: Call = ["SCAN", cursor, "MATCH", `${prefix}*`, "COUNT", batch];
      const [next, names] = (await node.call(...scan)) as [string, string[]];
      return { cursor: next, runs: await this.#unlisted(names.map((name) => name.slice(prefix.length))) };
    } finally {
      if (node !== client) node.close();
    }
  }

  async #unlisted(ids: readonly string[]): Promise<Map<string, string[]>> {
    const { client, keys } = this.#parts;
    const found = new Map<string, string[]>();
    if (ids.length === 0) return found;
    const read = await client.replies(ids.map((id): Call => ["HMGET", keys.run(id), "status", "tenant", "workflow"]));
    const runs = ids.flatMap((id, i) => {
      const [status, tenant, workflow] = Array.isArray(read[i]) ? (read[i] as (string | null)[]) : [];
      return status == null || tenant == null || workflow == null ? [] : [{ id, status, tenant, workflow }];
    });
    if (runs.length === 0) return found;
    await this.#listTenants(new Set(runs.map(({ tenant }) => tenant)));
    const scores = await client.pipeline(
      runs.flatMap(({ id, status, tenant, workflow }): Call[] => [
        ["ZSCORE", keys.runsByStatus(tenant, statusOf({ status })), id],
        ["ZSCORE", keys.runsByWorkflow(tenant, workflow), id],
      ]),
    );
    for (const [i, { id, tenant }] of runs.entries())
      if (scores[2 * i] === null || scores[2 * i + 1] === null) found.set(tenant, [...(found.get(tenant) ?? []), id]);
    return found;
  }

  /** Whoever goes through the runs of all tenants goes by this list. */
  async #listTenants(tenants: ReadonlySet<string>): Promise<void> {
    const listed = new Set((await this.#parts.client.call("SMEMBERS", this.#parts.space.tenants())) as string[]);
    const missing = [...tenants].filter((tenant) => !listed.has(tenant));
    if (missing.length > 0) await this.#parts.client.call("SADD", this.#parts.space.tenants(), ...missing);
  }

  /** Looks at runs of a tenant, and puts back what is lost of them. */
  async reconcile(tenant: string, ids: readonly string[], nowMs: number): Promise<Found> {
    const runs = await this.#read(ids);
    const rows = await this.#orphans(tenant, runs);
    const found: Found = { places: 0, rows: 0 };
    for (const part of inParts(runs)) add(found, await this.#put(tenant, part, [], nowMs));
    if (rows.length > 0) add(found, await this.#put(tenant, [], rows, nowMs));
    return found;
  }

  /** Sets timer rows that are not set. */
  async arm(tenant: string, rows: readonly (readonly [TimerRow, number])[], nowMs: number): Promise<void> {
    if (rows.length > 0) await this.#put(tenant, [], rows, nowMs);
  }

  /** What a tenant's pause has parked goes on, unless it is paused still. */
  async unparkOf(tenant: string, nowMs: number): Promise<(readonly [TimerRow, number])[]> {
    const { client, keys } = this.#parts;
    const [parked, paused] = await client.replies([
      ["ZCARD", keys.parked(tenant)],
      ["HEXISTS", keys.paused(), pauseField({ tenant })],
    ]);
    return typeof parked === "number" && parked > 0 && paused === 0 ? [[{ kind: "unpark", tenant }, nowMs]] : [];
  }

  /** Counts anew how many timer rows wait for each step, if they are few enough to be counted at once. */
  async recount(tenants: readonly string[]): Promise<void> {
    const { client, keys } = this.#parts;
    await client.run(recount, [keys.delayed(), keys.timers(), ...tenants.map((each) => keys.parked(each))], []);
  }

  async #put(
    tenant: string,
    runs: readonly ReadRun[],
    rows: readonly (readonly [TimerRow, number])[],
    nowMs: number,
  ): Promise<Found> {
    const { client, keys } = this.#parts;
    const call = new ReconcileArgs(keys, tenant, nowMs).of(runs, rows);
    const replies = (await client.run(reconcile, call.keys, call.args)) as Reply[];
    const places = runs.flatMap(({ id, places: of }) => of.map((place) => ({ id, ...place })));
    for (const [i, reply] of replies.entries()) {
      const place = places[i - runs.length];
      const id = place?.id ?? runs[i]!.id;
      if (reply === Reply.WrongType) log.error("run {id} is left as it is: a key of it holds another type", { id });
      if (reply === Reply.Done && place !== undefined)
        log.warn("{step} of run {id} was at no place any more, and is put back", { id, step: place.step, lost: place });
      if (reply === Reply.Done && place === undefined) log.warn("run {id} was not listed, and is again", { id });
    }
    const done = (some: Reply[]) => some.filter((reply) => reply === Reply.Done).length;
    return { places: done(replies.slice(runs.length)), rows: done(replies.slice(0, runs.length)) };
  }

  async #read(ids: readonly string[]): Promise<ReadRun[]> {
    const { client, keys, lanes } = this.#parts;
    const read = await client.replies(ids.map((id): Call => ["HMGET", keys.run(id), ...RUN_FIELDS]));
    const runs: ReadRun[] = [];
    for (const [i, id] of ids.entries()) {
      // A key of another type is found out by the script.
      const fields = Array.isArray(read[i]) ? named(RUN_FIELDS, read[i] as (string | null)[]) : {};
      runs.push({ id, fields, graph: await this.#graphOf(id, fields), places: [] });
    }
    const live = runs.filter(({ fields, graph }) => graph !== undefined && isLiveRun(fields));
    const steps = await client.pipeline(
      live.map(({ id, graph }): Call => ["HMGET", keys.run(id), ...stepFields(graph!)]),
    );
    const withItems: [ReadRun, LivePlace][] = [];
    for (const [i, run] of live.entries()) {
      const more = named(stepFields(run.graph!), steps[i] as (string | null)[]);
      run.places = placesOf(run.graph!, { ...run.fields, ...more });
      for (const place of run.places) if (place.kind === "items") withItems.push([run, place]);
      const lane = laneOf(run.fields as Record<string, string>);
      if (run.places.length > 0) await lanes.open(keys, run.graph!, lane);
    }
    const kept = await client.pipeline(withItems.map(([{ id }, { step }]): Call => ["HGETALL", keys.items(id, step)]));
    for (const [i, [run, { step }]] of withItems.entries())
      run.places.push(...itemPlaces(shapeOf(run.graph!).byName.get(step)!, pairs(kept[i] as string[])));
    return runs;
  }

  async #graphOf(id: string, { workflow, version }: Fields): Promise<Graph | undefined> {
    if (workflow === undefined || version === undefined) return undefined;
    const graph = await this.#parts.graph(workflow, Number(version));
    if (graph === undefined)
      log.warn("run {id} is of {version}, which nobody knows", { id, version: workflowVersion({ workflow, version }) });
    return graph;
  }

  /** Of child runs that go on though the run that they end with has ended: the rows that end them. */
  async #orphans(tenant: string, runs: readonly ReadRun[]): Promise<(readonly [TimerRow, number])[]> {
    const { client, keys } = this.#parts;
    const children = runs.filter(({ fields }) => isLiveRun(fields) && parentRun(fields) !== undefined);
    if (children.length === 0) return [];
    const read = await client.replies(
      children.map(({ fields }): Call => ["HGET", keys.run(parentRun(fields)!), "status"]),
    );
    return children.flatMap(({ id }, i) => {
      const status = read[i];
      const goesOn = status instanceof Error || (typeof status === "string" && isLiveRun({ status }));
      return goesOn ? [] : [[{ kind: "cancel", tenant, run: id }, 0] as const];
    });
  }
}

function named(names: readonly string[], values: readonly (string | null)[]): Fields {
  const fields: Record<string, string> = {};
  for (const [i, name] of names.entries()) if (values[i] != null) fields[name] = values[i];
  return fields;
}

/** Runs in parts of at most 100 places, and at most 100 runs: one of more places is in several. */
function inParts(runs: readonly ReadRun[]): ReadRun[][] {
  const parts: ReadRun[][] = [];
  let part: ReadRun[] = [];
  let places = 0;
  for (const run of runs) {
    for (let from = 0; from === 0 || from < run.places.length; from += AT_ONCE) {
      const some = run.places.slice(from, from + AT_ONCE);
      if (part.length === AT_ONCE || places + some.length > AT_ONCE) {
        parts.push(part);
        part = [];
        places = 0;
      }
      part.push({ ...run, places: some });
      places += some.length;
    }
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function add(sum: Found, { places, rows }: Found): void {
  sum.places += places;
  sum.rows += rows;
}
