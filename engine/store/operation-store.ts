import type { Partitions } from "../partitions.ts";
import type { Client } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { advanceOperation } from "../scripts/advance-operation.ts";
import { Reply } from "../scripts/script.ts";
import { startOperation } from "../scripts/start-operation.ts";
import { type ContinuedRow, encodeTimerRow } from "../timer-rows.ts";
import { TimerStore } from "./timer-store.ts";

/** An operation as its hash holds it. Times are in ms. */
export interface OperationRecord {
  id: string;
  tenant: string;
  kind: "replay" | "discard";
  /** JSON. */
  filter: string;
  /** How many more may fit; undefined for any number. */
  limit: number | undefined;
  cursor: string;
  matched: number;
  done: number;
  createdAt: number;
  endedAt: number | undefined;
}

/** The timer row that has a worker go on with an operation. */
function bulkRow(id: string): ContinuedRow {
  return { kind: "bulk", operation: id };
}

/** Work on many dead letters. Each is in the partition of its id. */
export class OperationStore {
  readonly #client: Client;
  readonly #partitions: Partitions;

  constructor(client: Client, partitions: Partitions) {
    this.#client = client;
    this.#partitions = partitions;
  }

  /**
   * Stores a new one, which is the caller's for a while before a worker goes on with it.
   *
   * @returns until when it is the caller's; undefined if it was there, and nobody's any more
   */
  async start(
    { id, tenant, kind, filter, limit }: Pick<OperationRecord, "id" | "tenant" | "kind" | "filter" | "limit">,
    leaseMs: number,
  ): Promise<number | undefined> {
    const fields = { kind, tenant, filter, limit: limit ?? "", cursor: "start", matched: 0, done: 0 };
    const args = [encodeTimerRow(bulkRow(id)), leaseMs, ...Object.entries(fields).flat()];
    const own = this.#partitions.keyed(id);
    const keys = [own.operation(id), own.timers()];
    const until = (await this.#client.run(startOperation, keys, args)) as number;
    return until === 0 ? undefined : until;
  }

  /** The server's time, and the operation if there is one of that id. */
  async read(id: string): Promise<{ now: number; record: OperationRecord | undefined }> {
    const { nowMs: now, replies } = await this.#client.timed([["HGETALL", this.#partitions.keyed(id).operation(id)]]);
    const fields = pairs(replies[0] as string[]);
    if (fields.kind === undefined) return { now, record: undefined };
    const record: OperationRecord = {
      ...{ id, tenant: fields.tenant!, kind: fields.kind as OperationRecord["kind"], filter: fields.filter! },
      limit: fields.limit === "" ? undefined : Number(fields.limit),
      cursor: fields.cursor!,
      matched: Number(fields.matched),
      done: Number(fields.done),
      createdAt: Number(fields.createdAt),
      endedAt: fields.endedAt === undefined ? undefined : Number(fields.endedAt),
    };
    return { now, record };
  }

  /** @param to where it goes on; undefined if it is done. @returns false if another process has done this part */
  async advance(id: string, from: string, to: string | undefined, matched: number, done: number): Promise<boolean> {
    const args = [from, to ?? "", matched, done];
    return (await this.#client.run(advanceOperation, [this.#partitions.keyed(id).operation(id)], args)) === Reply.Done;
  }

  /** Has the row that was taken until `until` come due again in `inMs`, or drops it. */
  async settleRow(id: string, until: number, inMs: number | undefined): Promise<void> {
    await new TimerStore(this.#client, this.#partitions.keyed(id)).settleTimer(bulkRow(id), until, inMs);
  }

  async delete(id: string): Promise<void> {
    await this.#client.call("UNLINK", this.#partitions.keyed(id).operation(id));
  }
}
