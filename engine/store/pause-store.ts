import { wakeRow } from "../commit-args.ts";
import type { Entry } from "../entry.ts";
import { MillraceError } from "../errors.ts";
import { encodeEvent } from "../events.ts";
import { delayedField } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { park } from "../scripts/park.ts";
import { pause } from "../scripts/pause.ts";
import { resume } from "../scripts/resume.ts";
import { Reply } from "../scripts/script.ts";
import { unpark } from "../scripts/unpark.ts";
import { encodeTimerRow, PARKED } from "../timer-rows.ts";
import type { Pausable } from "../views.ts";
import { Teller } from "./teller.ts";

const UNPARKED_AT_ONCE = 100;

/** What is paused in one partition. */
export class PauseStore {
  readonly #client: Client;
  readonly #keys: PartitionKeys;
  readonly #teller: Teller;

  constructor(client: Client, keys: PartitionKeys) {
    this.#client = client;
    this.#teller = new Teller(client);
    this.#keys = keys;
  }

  async pause(what: Pausable): Promise<Reply> {
    const keys = [this.#keys.paused()];
    return (await this.#client.run(pause, keys, [pauseField(what), this.#keys.control()])) as Reply;
  }

  async resume(what: Pausable): Promise<Reply> {
    const keys = [this.#keys.paused(), this.#keys.timers()];
    const row = what.tenant !== undefined ? encodeTimerRow({ kind: "unpark", tenant: what.tenant }) : "";
    return (await this.#client.run(resume, keys, [pauseField(what), this.#keys.control(), row])) as Reply;
  }

  /** Parks up to 100 entries that this consumer holds; a reply for each. */
  async park(consumer: string, entries: readonly Entry[]): Promise<Reply[]> {
    const keys = [this.#keys.paused(), this.#keys.delayed()];
    const args: (string | number)[] = [consumer];
    for (const entry of entries) {
      const { id, count, run, tenant, failures, crashes, item = "", wake = "", stream } = entry;
      const step = stream.step.name;
      keys.push(stream.key, this.#keys.run(run), this.#keys.log(run), this.#keys.parked(tenant));
      keys.push(this.#keys.items(run, step));
      keys.push(...["queued", "running", "waiting"].map((status) => this.#keys.runsByStatus(tenant, status)));
      const row = encodeTimerRow(wakeRow(wake === "" ? PARKED : `${PARKED}:${wake}`, entry, id));
      args.push(id, count, step, item, failures, crashes, wake, pauseField({ tenant }), row);
      const data = { reason: "tenant_paused" };
      args.push(delayedField(stream.graph, step), encodeEvent({ type: "run.waiting", step, data }));
    }
    return (await this.#teller.run(park, this.#keys, keys, args)) as Reply[];
  }

  /** Puts back up to 100 of what a tenant's pause has parked. How many; 0 if none is left, or it is paused again. */
  async unpark(tenant: string): Promise<number> {
    const keys = [this.#keys.parked(tenant), this.#keys.timers(), this.#keys.paused()];
    const moved = (await this.#client.run(unpark, keys, [pauseField({ tenant }), UNPARKED_AT_ONCE])) as number;
    if (moved === Reply.WrongType)
      throw new MillraceError("wrong_type", `What tenant ${tenant} has parked is of another type than Millrace keeps.`);
    return moved;
  }

  /** Whether each of these is paused. */
  async arePaused(which: readonly Pausable[]): Promise<boolean[]> {
    const since = await this.#client.call("HMGET", this.#keys.paused(), ...which.map(pauseField));
    return (since as (string | null)[]).map((ms) => ms !== null);
  }

  /** By field, since when in ms. */
  async paused(): Promise<Record<string, string>> {
    return pairs((await this.#client.call("HGETALL", this.#keys.paused())) as string[]);
  }
}

/** The field of what is paused. Names hold no colon. */
export function pauseField(what: Pausable): string {
  if (what.tenant !== undefined) return `tenant:${what.tenant}`;
  return what.step === undefined ? `workflow:${what.workflow}` : `step:${what.workflow}:${what.step}`;
}

/** What a field stands for; undefined if it is none of ours. */
export function parsePauseField(field: string): Pausable | undefined {
  const [kind, name = "", step = ""] = field.split(":");
  if (kind === "tenant") return { tenant: name };
  if (kind === "workflow") return { workflow: name };
  return kind === "step" ? { workflow: name, step } : undefined;
}
