import type { NamespaceKeys, PartitionKeys } from "../keys.ts";
import type { Call, Client } from "../redis/client.ts";
import { decodePolicy, encodePolicy, type RetentionPolicy } from "../retention-policy.ts";
import { pairs } from "../run-record.ts";
import { holdSweep } from "../scripts/hold-sweep.ts";
import { setRetention } from "../scripts/set-retention.ts";

const PUBLISHED_AT_ONCE = 100;

/** The runs of one workflow of one tenant: how many there are, and how many of them were made up to some time. */
export interface RunCounts {
  total: number;
  aged: number;
}

/** What of a run decides whether it is kept. */
export interface JudgedRun {
  id: string;
  version: number;
  /** In ms; undefined if it has not ended, or is gone. */
  endedAt: number | undefined;
  hasDeadLetter: boolean;
}

/** What the sweep of ended runs reads, and how it is one process's at a time. */
export class RetentionStore {
  readonly #client: Client;
  readonly #space: NamespaceKeys;
  readonly #keys: PartitionKeys;

  constructor(client: Client, space: NamespaceKeys, keys: PartitionKeys) {
    this.#client = client;
    this.#space = space;
    this.#keys = keys;
  }

  /** Stores the policies that are not stored so yet: the process that started last is believed. */
  async publish(policies: ReadonlyMap<string, RetentionPolicy>): Promise<void> {
    const stored = await this.#stored();
    const changed = [...policies].filter(([workflow, policy]) => stored[workflow] !== encodePolicy(policy));
    if (changed.length === 0) return;
    for (let from = 0; from < changed.length; from += PUBLISHED_AT_ONCE) {
      const part = changed.slice(from, from + PUBLISHED_AT_ONCE);
      const fields = part.flatMap(([workflow, policy]) => [workflow, encodePolicy(policy)]);
      await this.#client.run(setRetention, [this.#space.retention()], fields);
    }
  }

  /** The policy of a workflow by its name. */
  async policies(): Promise<(workflow: string) => RetentionPolicy> {
    const stored = await this.#stored();
    return (workflow) => decodePolicy(stored[workflow]);
  }

  async tenants(): Promise<string[]> {
    return (await this.#client.call("SMEMBERS", this.#space.tenants())) as string[];
  }

  /**
   * Takes the sweep for so long, or keeps it.
   *
   * @param position how far it has come; undefined: as far as it had
   * @returns the server's time, and how far it has come; undefined if another process has it
   */
  async hold(owner: string, ms: number, position?: string): Promise<{ now: number; position: string } | undefined> {
    const reply = await this.#client.run(holdSweep, [this.#keys.sweep()], [owner, ms, position ?? "="]);
    const [now, reached] = reply as [number?, string?];
    return now === undefined ? undefined : { now, position: reached! };
  }

  /** @param before up to when, in ms, of each */
  async counts(targets: readonly { tenant: string; workflow: string; before: number }[]): Promise<RunCounts[]> {
    const calls = targets.flatMap(({ tenant, workflow, before }): Call[] => {
      const key = this.#keys.runsByWorkflow(tenant, workflow);
      return [
        ["ZCARD", key],
        ["ZCOUNT", key, "-inf", before],
      ];
    });
    const replies = (await this.#client.pipeline(calls)) as number[];
    return targets.map((_, i) => ({ total: replies[2 * i]!, aged: replies[2 * i + 1]! }));
  }

  /** The oldest runs of a workflow, from `offset` on. */
  async oldest(tenant: string, workflow: string, offset: number, count: number): Promise<JudgedRun[]> {
    const key = this.#keys.runsByWorkflow(tenant, workflow);
    const ids = (await this.#client.call("ZRANGE", key, offset, offset + count - 1)) as string[];
    if (ids.length === 0) return [];
    const calls = ids.map((id): Call => ["HMGET", this.#keys.run(id), "status", "version", "endedAt"]);
    const records = (await this.#client.pipeline(calls)) as (string | null)[][];
    const failed = ids.filter((_, i) => records[i]![0] === "failed");
    const dead = await this.#withDeadLetters(failed);
    return ids.map((id, i) => {
      const [, version, endedAt] = records[i]!;
      const ended = endedAt == null ? undefined : Number(endedAt);
      return { id, version: Number(version), endedAt: ended, hasDeadLetter: dead.has(id) };
    });
  }

  /** How many bytes some runs take, evenly spread from the newest to the oldest; at most `count` of them. */
  async sample(tenant: string, workflow: string, total: number, count: number): Promise<number[]> {
    const key = this.#keys.runsByWorkflow(tenant, workflow);
    const stride = Math.ceil(total / count);
    const ranks = Array.from({ length: Math.floor(total / stride) }, (_, i) => -1 - i * stride);
    const found = (await this.#client.pipeline(ranks.map((rank): Call => ["ZRANGE", key, rank, rank]))) as string[][];
    const ids = found.flat();
    if (ids.length === 0) return [];
    const calls = ids.flatMap((id): Call[] => [
      // Every field of the record: a few are large, and the log's lines are much alike.
      ["MEMORY", "USAGE", this.#keys.run(id), "SAMPLES", 0],
      ["MEMORY", "USAGE", this.#keys.log(id)],
    ]);
    const sizes = (await this.#client.pipeline(calls)) as (number | null)[];
    return ids.map((_, i) => (sizes[2 * i] ?? 0) + (sizes[2 * i + 1] ?? 0));
  }

  async #withDeadLetters(ids: readonly string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set();
    const names = (await this.#client.pipeline(ids.map((id): Call => ["HKEYS", this.#keys.run(id)]))) as string[][];
    return new Set(ids.filter((_, i) => names[i]!.some((name) => name.startsWith("dead:"))));
  }

  async #stored(): Promise<Record<string, string>> {
    return pairs((await this.#client.call("HGETALL", this.#space.retention())) as string[]);
  }
}
