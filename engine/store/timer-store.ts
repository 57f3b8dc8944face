import { delayedField } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import { logger } from "../log.ts";
import type { Call, Client } from "../redis/client.ts";
import { claimTimers } from "../scripts/claim-timers.ts";
import { promote } from "../scripts/promote.ts";
import type { Reply } from "../scripts/script.ts";
import { settleTimer } from "../scripts/settle-timer.ts";
import { type ContinuedRow, encodeTimerRow, parseTimerRow, type ScriptedRow, type TimerRow } from "../timer-rows.ts";
import { PRIORITIES, type Priority } from "../views.ts";

const log = logger("timer-store");

/** The timer rows of one partition. */
export class TimerStore {
  readonly #client: Client;
  readonly #keys: PartitionKeys;

  constructor(client: Client, keys: PartitionKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** Timer rows that are due, and in how many ms the next one is; rows that cannot be read are dropped. */
  async dueTimers(limit: number): Promise<{ due: TimerRow[]; nextMs?: number }> {
    const timers = this.#keys.timers();
    const { nowMs, replies } = await this.#client.timed([["ZRANGE", timers, 0, limit, "WITHSCORES"]]);
    const due: TimerRow[] = [];
    for (const [member, score] of replies[0] as [string, string | number][]) {
      if (Number(score) > nowMs) return { due, nextMs: Number(score) - nowMs };
      const row = parseTimerRow(member);
      if (row !== undefined) due.push(row);
      else {
        log.error("timer row {member} is not one of ours, and is dropped", { member });
        await this.#client.call("ZREM", timers, member);
      }
    }
    return { due };
  }

  /** Carries out timer rows; a reply for each. */
  async promote(rows: readonly ScriptedRow[]): Promise<Reply[]> {
    const keys = [this.#keys.timers(), this.#keys.delayed()];
    const lanes = await this.#lanesOf(rows);
    let kinds = "zh";
    const args: (string | number)[] = [];
    for (const row of rows) {
      args.push(encodeTimerRow(row), row.kind);
      if (row.kind === "wake") {
        const { run, step, item, tenant, reason } = row;
        keys.push(this.#keys.run(run), this.#keys.step(row, step, lanes.get(run)), this.#keys.items(run, step));
        keys.push(...["queued", "running", "waiting"].map((status) => this.#keys.runsByStatus(tenant, status)));
        args.push(reason, run, step, item, delayedField(row, step));
        kinds += "hshzzz";
      } else if (row.kind === "forget") {
        keys.push(this.#keys.once(row.tenant, row.hash));
        kinds += "h";
      } else if (row.kind === "ticket") {
        keys.push(this.#keys.ticket(row.hash));
        kinds += "h";
      } else if (row.kind === "usage") {
        keys.push(this.#keys.usage(decodeURIComponent(row.of)));
        kinds += "h";
      } else if (row.kind === "lapse") {
        keys.push(this.#keys.dedupe(row.tenant, row.hash), this.#keys.run(row.run));
        args.push(row.run);
        kinds += "hh";
      } else if (row.kind === "key") {
        keys.push(this.#keys.apiKey(row.id), this.#keys.apiKeys(), this.#keys.apiKeysOf(row.tenant));
        args.push(row.id);
        kinds += "hzz";
      } else {
        keys.push(this.#keys.run(row.run));
        args.push(row.limit);
        kinds += "h";
      }
    }
    return (await this.#client.run(promote, keys, [kinds, rows.length, ...args])) as Reply[];
  }

  /** The lane of each run, by its id. It never changes, so it may be read before. */
  async #lanesOf(rows: readonly ScriptedRow[]): Promise<Map<string, Priority | undefined>> {
    const runs = [...new Set(rows.flatMap((row) => (row.kind === "wake" ? [row.run] : [])))];
    if (runs.length === 0) return new Map();
    const lanes = await this.#client.replies(runs.map((run): Call => ["HGET", this.#keys.run(run), "priority"]));
    // A run that is no hash is found out by the script.
    return new Map(runs.map((run, i) => [run, PRIORITIES.find((each) => each === lanes[i])]));
  }

  /** Takes due rows for `leaseMs`; of each the time until which they are this process's, 0 where another has it. */
  async claimTimers(rows: readonly ContinuedRow[], leaseMs: number): Promise<number[]> {
    const members = rows.map(encodeTimerRow);
    return (await this.#client.run(claimTimers, [this.#keys.timers()], [leaseMs, ...members])) as number[];
  }

  /** Has a row that was taken until `until` come due again in `inMs`, or drops it. */
  async settleTimer(row: ContinuedRow, until: number, inMs: number | undefined): Promise<void> {
    await this.#client.run(settleTimer, [this.#keys.timers()], [encodeTimerRow(row), until, inMs ?? ""]);
  }
}
