import { delayedField } from "../commit-args.ts";
import type { PartitionKeys } from "../keys.ts";
import { logger } from "../log.ts";
import type { Client } from "../redis/client.ts";
import { claimTimers } from "../scripts/claim-timers.ts";
import { promote } from "../scripts/promote.ts";
import type { Reply } from "../scripts/script.ts";
import { settleTimer } from "../scripts/settle-timer.ts";
import { type ContinuedRow, encodeTimerRow, parseTimerRow, type ScriptedRow, type TimerRow } from "../timer-rows.ts";

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
    let kinds = "zh";
    const args: (string | number)[] = [];
    for (const row of rows) {
      args.push(encodeTimerRow(row), row.kind);
      if (row.kind === "wake") {
        const { run, step, item, tenant, reason } = row;
        keys.push(this.#keys.run(run), this.#keys.step(row, step), this.#keys.items(run, step));
        keys.push(...["waiting", "running"].map((status) => this.#keys.runsByStatus(tenant, status)));
        args.push(reason, run, step, item, delayedField(row, step));
        kinds += "hshzz";
      } else {
        keys.push(this.#keys.once(row.tenant, row.hash));
        kinds += "h";
      }
    }
    return (await this.#client.run(promote, keys, [kinds, rows.length, ...args])) as Reply[];
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
