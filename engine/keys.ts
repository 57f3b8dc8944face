import { MillraceError } from "./errors.ts";
import { workflowVersion } from "./graph.ts";
import type { Priority } from "./views.ts";

/** The consumer group of every step stream. */
export const GROUP = "workers";

/** The schema version of a namespace: raised when what the keys hold changes in a way older code cannot read. */
export const SCHEMA_VERSION = 2;

/** How many items of a step a chunk holds. */
export const CHUNK = 100;

/** The chunk that an item is in. */
export function chunkOf(item: number): number {
  return Math.floor(item / CHUNK);
}

type Version = { workflow: string; version: number | string };

/** Every key and channel of a namespace that belongs to no partition. */
export class NamespaceKeys {
  readonly namespace: string;

  constructor(namespace: string) {
    if (!/^[A-Za-z0-9_-]{1,40}$/.test(namespace))
      throw new MillraceError("bad_namespace", "A namespace is 1 to 40 of A-Z a-z 0-9 _ -");
    this.namespace = namespace;
  }

  /** Hash: `schema`, `partitions`. */
  meta(): string {
    return `{${this.namespace}}:meta`;
  }

  /** Hash: `workflow@version` to the graph as JSON. */
  graphs(): string {
    return `{${this.namespace}}:graphs`;
  }

  /** Set: every tenant that a run was admitted for. */
  tenants(): string {
    return `{${this.namespace}}:tenants`;
  }

  /** Hash: workflow to how long its ended runs are kept, as JSON. */
  retention(): string {
    return `{${this.namespace}}:retention`;
  }

  /** Hash: a key of the configuration to `GENERATION JSON`. */
  config(): string {
    return `{${this.namespace}}:config`;
  }

  /** Hash: a topic of what is broadcast to its generation, `COUNT-TIME_MS`. */
  generations(): string {
    return `{${this.namespace}}:generations`;
  }

  /** Channel: what changed in the two before. */
  broadcast(): string {
    return `{${this.namespace}}:broadcast`;
  }

  /** Channel: on which one process alone hears that it hears what is published. */
  heard(id: string): string {
    return `{${this.namespace}}:heard:${id}`;
  }

  /** Stream, and a channel: what a check of the server tries its commands on, for as long as that takes. */
  checkup(id: string): string {
    return `{${this.namespace}}:checkup:${id}`;
  }

  /** Pattern of channels: those of every run, in any partition. */
  everyRunChannel(): string {
    return `{${this.namespace}:*}:run:*`;
  }

  /** Hash: `workflow@version` that is served no more to the graph as JSON, for its ended runs. */
  retired(): string {
    return `{${this.namespace}}:retired`;
  }

  /** String: as a partition's clock, for scripts whose keys belong to none. */
  spaceClock(): string {
    return `{${this.namespace}}:clock`;
  }

  /** Hash: a tenant's records of a collection, by id: `REVISION JSON`. */
  kept(collection: string, tenant: string): string {
    return `{${this.namespace}}:kept:${collection}:${tenant}`;
  }

  /** Hash: whose each record of a collection is, by its id. */
  keptTenants(collection: string): string {
    return `{${this.namespace}}:kept:${collection}`;
  }

  /** Hash: the bytes of a blob by the number of their chunk. Each in a slot of its own. */
  blobContent(tenant: string, id: string): string {
    return `{${this.namespace}:blobs:${tenant}:${id}}`;
  }

  /** Hash: what is known of a blob, in the same way. Everything of a tenant but contents is in one slot. */
  blobRecord(tenant: string, id: string): string {
    return `{${this.namespace}:blobs:${tenant}}:record:${id}`;
  }

  /** Sorted set, all with the score 0: the names in a set of the blob store, such as the blobs of a run. */
  blobNames(tenant: string, kind: string, id: string): string {
    return `{${this.namespace}:blobs:${tenant}}:${kind}:${id}`;
  }

  partition(p: number): PartitionKeys {
    return new PartitionKeys(`{${this.namespace}:${p}}`, p);
  }
}

function inLane(key: string, lane: Priority): string {
  return lane === "normal" ? key : `${key}:${lane}`;
}

/** Every key and channel of one partition. They share a hash tag, so one script may touch them all. */
export class PartitionKeys {
  /** Which partition they are of, from 0. */
  readonly index: number;
  readonly #prefix: string;

  constructor(prefix: string, index: number) {
    this.#prefix = prefix;
    this.index = index;
  }

  /** Hash: a run's record. */
  run(id: string): string {
    return `${this.#prefix}:run:${id}`;
  }

  /** Channel: the events of a run as they are stored. Named like its record. */
  runChannel(id: string): string {
    return this.run(id);
  }

  /** List: a run's events, one a line. */
  log(id: string): string {
    return `${this.#prefix}:log:${id}`;
  }

  /** Stream with the group `workers`: the entries of a step in one lane. */
  step(version: Version, step: string, lane: Priority = "normal"): string {
    return inLane(`${this.#prefix}:step:${workflowVersion(version)}:${step}`, lane);
  }

  /** Stream with the group `workers`: the entries of a step with limits that have a slot. */
  slots(version: Version, step: string, lane: Priority = "normal"): string {
    return inLane(`${this.#prefix}:slots:${workflowVersion(version)}:${step}`, lane);
  }

  /** Hash: the limits of a step, who holds its slots, and what each key has used up. */
  gate(version: Version, step: string): string {
    return `${this.#prefix}:gate:${workflowVersion(version)}:${step}`;
  }

  /** Sorted set: the tickets of what waits at a gate, by key and number. */
  gateWaiting(version: Version, step: string): string {
    return `${this.gate(version, step)}:waiting`;
  }

  /** Sorted set: `KEY|RUN|ITEM` of what holds a slot. */
  gateHeld(version: Version, step: string): string {
    return `${this.gate(version, step)}:held`;
  }

  /** Sorted set: keys by their turn, or by the ms when they are to be looked at again. */
  gateTurns(version: Version, step: string): string {
    return `${this.gate(version, step)}:turns`;
  }

  /** Stream: the dead letters of a step. */
  dead(version: Version, step: string): string {
    return `${this.#prefix}:dead:${workflowVersion(version)}:${step}`;
  }

  /** Hash: what is kept of the live items of a step: their records by number, `pN`, how far each is, and `cN`, its child run. */
  items(run: string, step: string): string {
    return `${this.#prefix}:items:${run}:${step}`;
  }

  /** Hash: up to 100 items of a step: `in` their inputs, `N` the output of each and `eN` its error. */
  chunk(run: string, step: string, chunk: number): string {
    return `${this.#prefix}:items:${run}:${step}:${chunk}`;
  }

  /** Hash: what `ctx.once` remembers of a run, as `STEP|ITEM|NAME`; `STEP|ITEM` counts them. */
  memos(run: string): string {
    return `${this.#prefix}:memos:${run}`;
  }

  /** Hash: what a tenant has used, as `DAY TOKENS BILLIONTHS`, by `WORKFLOW|DAY`, the day modulo 92. */
  usage(tenant: string): string {
    return `${this.#prefix}:usage:${tenant}`;
  }

  /** Hash: the same of one key. A timer row drops it when nothing was used for 92 days. */
  usageOfKey(tenant: string, key: string): string {
    return `${this.#prefix}:usage:${tenant}:${key}`;
  }

  /** Sorted set: timer rows by the time they are due, in milliseconds. */
  timers(): string {
    return `${this.#prefix}:timers`;
  }

  /** Hash: `workflow@version:step` to how many timer rows wait for that step. */
  delayed(): string {
    return `${this.#prefix}:delayed`;
  }

  /** Hash: `workflow@version:lane` that is in use beside the normal one, to since when in ms. */
  lanes(): string {
    return `${this.#prefix}:lanes`;
  }

  /** Hash: `workflow:W`, `step:W:S` or `tenant:T` that is paused, to since when in ms. */
  paused(): string {
    return `${this.#prefix}:paused`;
  }

  /** Sorted set: the steps that a tenant's pause has parked, as timer rows by when they were queued, in ms. */
  parked(tenant: string): string {
    return `${this.#prefix}:parked:${tenant}`;
  }

  /** Hash: consumer name to `SEEN_MS JSON` of a worker process. */
  workers(): string {
    return `${this.#prefix}:workers`;
  }

  /** Hash: `last` and `since`: when a worker last beat, and since when no gap between beats was long. In ms. */
  beats(): string {
    return `${this.#prefix}:beats`;
  }

  /** String: by how many ms the time of runs is ahead of the server's. Only the test kit has it. */
  clock(): string {
    return `${this.#prefix}:clock`;
  }

  /** Sorted set: a tenant's runs in one status by the time they were made. */
  runsByStatus(tenant: string, status: string): string {
    return `${this.#prefix}:runs:${tenant}:status:${status}`;
  }

  /** Sorted set: a tenant's runs of one workflow by the time they were made. */
  runsByWorkflow(tenant: string, workflow: string): string {
    return `${this.#prefix}:runs:${tenant}:workflow:${workflow}`;
  }

  /** Sorted set: a tenant's runs with a tag by the time they were made. */
  runsByTag(tenant: string, tag: string): string {
    return `${this.#prefix}:runs:${tenant}:tag:${tag}`;
  }

  /** List: the runs of a tenant as they ended, the last of them: `TIME_MS RUN WORKFLOW`. */
  ends(tenant: string): string {
    return `${this.#prefix}:ends:${tenant}`;
  }

  /** Sorted set: a tenant's dead letters by the time they died. */
  deadLetters(tenant: string): string {
    return `${this.#prefix}:dead-letters:${tenant}`;
  }

  /**
   * Hash: what an idempotency key stands for: `digest`, `run`; or of a request whose reply is kept: `digest`, `id`, `seed`,
   * `first`, `holder`, `until`, and then `reply`, `location`. `hash` is of scope and key.
   */
  once(tenant: string, hash: string): string {
    return `${this.#prefix}:once:${tenant}:${hash}`;
  }

  /** Hash: which run the starts with one key give: `run`, `until`. `hash` is of workflow (to debounce, its version too), mode and key. */
  dedupe(tenant: string, hash: string): string {
    return `${this.#prefix}:dedupe:${tenant}:${hash}`;
  }

  /** Hash: work on many dead letters: what is done with which, and how far it has come. */
  operation(id: string): string {
    return `${this.#prefix}:operation:${id}`;
  }

  /** Hash: `owner`, `until`, `position` of the walk that deletes what is no longer kept: whose it is, until when, how far. */
  sweep(): string {
    return `${this.#prefix}:sweep`;
  }

  /** Hash: `owner`, `until`, `position` of the walk that puts back what is lost. */
  reconciler(): string {
    return `${this.#prefix}:reconciler`;
  }

  /** Hash: a schedule. */
  schedule(tenant: string, name: string): string {
    return `${this.#prefix}:schedule:${tenant}:${name}`;
  }

  /** Sorted set: the names of a tenant's schedules by the time they were made. */
  schedules(tenant: string): string {
    return `${this.#prefix}:schedules:${tenant}`;
  }

  /** Hash: an upload that comes in parts. */
  upload(tenant: string, id: string): string {
    return `${this.#prefix}:upload:${tenant}:${id}`;
  }

  /** Sorted set: the ids of a tenant's uploads that are not complete, by the time they expire, in ms. */
  uploads(tenant: string): string {
    return `${this.#prefix}:uploads:${tenant}`;
  }

  /** Hash: an API key. It, its indexes and the channel are in partition 0 alone. */
  apiKey(id: string): string {
    return `${this.#prefix}:api-key:${id}`;
  }

  /** Sorted set: the ids of all API keys by the time they were made. */
  apiKeys(): string {
    return `${this.#prefix}:api-keys`;
  }

  /** Sorted set: the ids of a tenant's API keys by the time they were made. */
  apiKeysOf(tenant: string): string {
    return `${this.#prefix}:api-keys:${tenant}`;
  }

  /** Hash: what a ticket is for, until it is redeemed or expires. `hash` is the digest of it. */
  ticket(hash: string): string {
    return `${this.#prefix}:ticket:${hash}`;
  }

  /** Sorted set: whose rate limits are in use, by when they will have all of them again, in µs. */
  rates(): string {
    return `${this.#prefix}:rates`;
  }

  /** Hash: what keys have taken of their quotas in one day; the field '' is the day. */
  quotas(): string {
    return `${this.#prefix}:quotas`;
  }

  /** Channel: `key ID`: read that API key again. */
  access(): string {
    return `${this.#prefix}:access`;
  }

  /** Channel: `cancelled RUN` or `expired RUN`, so that handlers at work hear of it; `paused`, `lanes`: read again which. */
  control(): string {
    return `${this.#prefix}:control`;
  }

  /** Channel: the key of a stream into which something was put that a step has to do. */
  bell(): string {
    return `${this.#prefix}:bell`;
  }

  /** Hash: `version`, and what is kept of each subscription: `of:GROUP`, `since:GROUP`, `paused:GROUP`, `gap:GROUP`. */
  subscriptions(): string {
    return `${this.#prefix}:subscriptions`;
  }

  /** Stream with the group `workers`: the events that a subscription has not handled yet. */
  subscription(group: string): string {
    return `${this.#prefix}:sub:${group}`;
  }

  /** Sorted set: events that a subscription's handler failed with, by the time they are tried again, in ms. */
  redeliveries(group: string): string {
    return `${this.#prefix}:sub-retry:${group}`;
  }

  /** Stream: the events that a subscription's handler failed with for good. */
  undelivered(group: string): string {
    return `${this.#prefix}:sub-dead:${group}`;
  }
}
