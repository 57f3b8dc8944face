import type { PartitionKeys } from "../keys.ts";
import type { Partitions } from "../partitions.ts";
import type { Client } from "../redis/client.ts";
import { pairs, statusOf } from "../run-record.ts";
import { awaitedRun, decodeSchedule, encodeSchedule, type ScheduleRecord } from "../schedules/record.ts";
import { deleteSchedule } from "../scripts/delete-schedule.ts";
import { readSchedule } from "../scripts/read-schedule.ts";
import { Reply } from "../scripts/script.ts";
import { writeSchedule } from "../scripts/write-schedule.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { refuseWrongType } from "./refusals.ts";

/** Which schedule. */
export interface ScheduleName {
  tenant: string;
  name: string;
}

/** Schedules. Each is in the partition of its tenant and name, and so are its runs. */
export class ScheduleStore {
  readonly #client: Client;
  readonly #partitions: Partitions;

  constructor(client: Client, partitions: Partitions) {
    this.#client = client;
    this.#partitions = partitions;
  }

  /** The partition that a schedule is in. */
  partition({ tenant, name }: ScheduleName): PartitionKeys {
    return this.#partitions.keyed(`${tenant}\n${name}`);
  }

  /** A schedule, if there is one, and the server's time in ms. */
  async read({ tenant, name }: ScheduleName): Promise<{ now: number; schedule?: ScheduleRecord }> {
    const [now, ...flat] = (await this.#client.run(readSchedule, [this.#key({ tenant, name })], [])) as [
      number,
      ...string[],
    ];
    refuseWrongType(now, `schedule ${name}`);
    return flat.length === 0 ? { now } : { now, schedule: decodeSchedule(pairs(flat)) };
  }

  /** The schedules of these names, in order; undefined for those that are gone. */
  async readAll(tenant: string, names: readonly string[]): Promise<(ScheduleRecord | undefined)[]> {
    if (names.length === 0) return [];
    const replies = await this.#client.pipeline(names.map((name) => ["HGETALL", this.#key({ tenant, name })]));
    return replies.map((flat) => {
      const fields = pairs(flat as string[]);
      return fields.revision === undefined ? undefined : decodeSchedule(fields);
    });
  }

  /**
   * Stores what a schedule has become.
   *
   * @param was what was read; undefined if there was none
   * @param due when its timer row is due, ms; undefined for no row; "as-it-is" where its row is in the caller's hands
   * @returns false if it is another by now, and nothing was written
   */
  async write(
    which: ScheduleName,
    was: ScheduleRecord | undefined,
    becomes: ScheduleRecord,
    due: number | undefined | "as-it-is",
  ): Promise<boolean> {
    const old = was === undefined ? "" : row(which, was);
    const armed = due === undefined ? "" : row(which, becomes);
    const fields = Object.entries(encodeSchedule(becomes)).flat();
    const args = [old === armed ? "" : old, armed, typeof due === "number" ? due : ""];
    // A run that is being started is not there yet: the write after that one names it.
    const awaited = typeof due === "number" ? awaitedRun(becomes) : undefined;
    const touched = [...this.#touched(which), ...(awaited === undefined ? [] : [this.partition(which).run(awaited)])];
    const reply = (await this.#client.run(writeSchedule, touched, [
      ...[was?.revision ?? 0, which.name, becomes.createdAt],
      ...[...args, ...fields],
    ])) as Reply;
    refuseWrongType(reply, `schedule ${which.name}`);
    return reply === Reply.Done;
  }

  /** False if it is another by now. */
  async delete(which: ScheduleName, was: ScheduleRecord): Promise<boolean> {
    const args = [was.revision, which.name, row(which, was)];
    const reply = (await this.#client.run(deleteSchedule, this.#touched(which), args)) as Reply;
    refuseWrongType(reply, `schedule ${which.name}`);
    return reply === Reply.Done;
  }

  /** The status of a run; undefined if there is none of that id. */
  async runStatus(id: string): Promise<string | undefined> {
    const status = (await this.#client.call("HGET", this.#partitions.of(id).run(id), "status")) as string | null;
    return status === null ? undefined : statusOf({ status });
  }

  #key(which: ScheduleName): string {
    return this.partition(which).schedule(which.tenant, which.name);
  }

  #touched(which: ScheduleName): string[] {
    const keys = this.partition(which);
    return [this.#key(which), keys.schedules(which.tenant), keys.timers()];
  }
}

function row({ tenant, name }: ScheduleName, { generation }: ScheduleRecord): string {
  return encodeTimerRow({ kind: "tick", tenant, name, generation: String(generation) });
}
