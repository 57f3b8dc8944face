import type { ErrorRecord } from "../errors.ts";
import { GROUP, type PartitionKeys } from "../keys.ts";
import { logger } from "../log.ts";
import type { ReadHealth } from "../read-health.ts";
import type { Call, Client } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { heartbeat } from "../scripts/heartbeat.ts";
import { reclaim } from "../scripts/reclaim.ts";
import { redeliver } from "../scripts/redeliver.ts";
import { resumeSubscription } from "../scripts/resume-subscription.ts";
import { retire } from "../scripts/retire.ts";
import { Reply } from "../scripts/script.ts";
import { settleDelivery } from "../scripts/settle-delivery.ts";
import { subscribe } from "../scripts/subscribe.ts";
import { takeUndelivered } from "../scripts/take-undelivered.ts";
import { unsubscribe } from "../scripts/unsubscribe.ts";
import { type Delivery, parseDelivery } from "../subscriptions/delivery.ts";
import { encodeSettings, type SubscriptionSettings } from "../subscriptions/settings.ts";
import { refuseWrongType } from "./refusals.ts";

export { Reply };

const log = logger("subscription-store");

/** Each one costs every commit a little. */
const MOST_SUBSCRIPTIONS = 20;
const AT_ONCE = 100;

/** How a delivery ended, and how often the handler has failed by then; `release` puts it back, uncharged. */
export type Ending = { failures: number } & (
  | { kind: "done" | "release" }
  | { kind: "retry"; delayMs: number }
  | { kind: "dead"; error: ErrorRecord }
);

/** The subscriptions of one partition. */
export class SubscriptionStore {
  readonly keys: PartitionKeys;
  readonly #client: Client;

  constructor(client: Client, keys: PartitionKeys) {
    this.#client = client;
    this.keys = keys;
  }

  /** Stores a subscription, or gives it these settings. */
  async subscribe(settings: SubscriptionSettings): Promise<Reply> {
    const { group } = settings;
    const keys = [this.keys.subscriptions(), this.keys.subscription(group)];
    return this.#reply(await this.#client.run(subscribe, keys, [group, encodeSettings(settings), MOST_SUBSCRIPTIONS]));
  }

  /** Removes it and all that it has not handled. */
  async unsubscribe(group: string): Promise<Reply> {
    return this.#reply(await this.#client.run(unsubscribe, this.#of(group), [group]));
  }

  /** Lets it take events again. */
  async resume(group: string, maxBytes: number): Promise<[Reply, (number | string)?, number?]> {
    const keys = [this.keys.subscriptions(), this.keys.subscription(group), this.keys.undelivered(group)];
    const reply = (await this.#client.run(resumeSubscription, keys, [group, maxBytes])) as [Reply];
    this.#reply(reply[0]);
    return reply;
  }

  /** What the hash of the subscriptions holds. */
  async fields(): Promise<Record<string, string>> {
    return pairs((await this.#client.call("HGETALL", this.keys.subscriptions())) as string[]);
  }

  /** Of a subscription: its settings as JSON and why it is paused since when, null where there is none. */
  async standing(group: string): Promise<[of: string | null, paused: string | null]> {
    const fields = [`of:${group}`, `paused:${group}`];
    return (await this.#client.call("HMGET", this.keys.subscriptions(), ...fields)) as [string | null, string | null];
  }

  /** Renews the leases of what a consumer has in hand, in the order of ids; those that are lost. */
  async heartbeat(
    group: string,
    consumer: string,
    leaseMs: number,
    held: readonly Delivery[],
    health: ReadHealth,
  ): Promise<Delivery[]> {
    const stream = this.keys.subscription(group);
    const info = JSON.stringify({ streams: [stream], ...health });
    const args = [consumer, leaseMs, info, held.length, ...held.flatMap(({ id, count }) => [id, count])];
    const keys = [this.keys.workers(), this.keys.beats(), stream];
    const replies = (await this.#client.run(heartbeat, keys, args)) as Reply[];
    return held.filter((_, i) => replies[i] !== Reply.Done);
  }

  /** Takes over what died with other consumers (`expired`), or was delivered to this one without its knowing (`own`). */
  async reclaim(
    group: string,
    consumer: string,
    mode: "expired" | "own",
    { leaseMs, limit, crashes, lastChances }: { leaseMs: number; limit: number; crashes: number; lastChances: number },
    held: readonly Delivery[],
  ): Promise<Delivery[]> {
    const keys = [this.keys.subscription(group), this.keys.beats()];
    const limits = [Math.min(limit, AT_ONCE), crashes, lastChances];
    const args = [consumer, mode, leaseMs, ...limits, ...held.map(({ id }) => id)];
    const [, ...taken] = (await this.#client.run(reclaim, keys, args)) as [number, ...[string, number, string[]][]];
    return this.#deliveries(group, taken);
  }

  /** Waits up to `blockMs` for up to `count` events, over a connection of the caller's own. */
  async read(client: Client, group: string, consumer: string, count: number, blockMs: number): Promise<Delivery[]> {
    const key = this.keys.subscription(group);
    const call: Call = ["XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "BLOCK", blockMs, "STREAMS", key, ">"];
    const reply = (await client.call(...call)) as [string, [string, string[]][]] | null;
    return this.#deliveries(
      group,
      (reply?.[1] ?? []).map(([id, fields]) => [id, 1, fields]),
    );
  }

  /** Settles what a consumer has in hand. `NotOwner` if it is not, or no longer, its own. */
  async settle(
    group: string,
    consumer: string,
    { id, count, crashes }: Delivery,
    ending: Ending,
    maxBytes: number,
  ): Promise<Reply> {
    const detail =
      ending.kind === "retry" ? ending.delayMs : ending.kind === "dead" ? JSON.stringify(ending.error) : "";
    const args = [group, consumer, id, count, ending.kind, ending.failures, crashes, detail, maxBytes];
    return this.#reply(await this.#client.run(settleDelivery, this.#of(group), args));
  }

  /** Puts back what is to be tried again now: how many wait still, and in how many ms the next is due. */
  async redeliver(group: string): Promise<{ waiting: number; nextMs?: number }> {
    const keys = [this.keys.redeliveries(group), this.keys.subscription(group)];
    const [code, waiting, nextMs] = (await this.#client.run(redeliver, keys, [AT_ONCE])) as [number, number, number];
    this.#reply(code as Reply);
    return nextMs < 0 ? { waiting } : { waiting, nextMs };
  }

  /** Puts up to 100 dead letters back into the stream, or drops them: how many there were. */
  async takeUndelivered(group: string, act: "replay" | "discard", ids: readonly string[]): Promise<number> {
    const keys = [this.keys.undelivered(group), this.keys.subscription(group)];
    const reply = (await this.#client.run(takeUndelivered, keys, [act, ...ids])) as number;
    this.#reply(reply as Reply);
    return reply;
  }

  /** Dead letters from `from` (an id, or `(` and one for those before it) on, newest first. */
  async undelivered(group: string, from: string, limit: number): Promise<[id: string, of: Record<string, string>][]> {
    const call: Call = ["XREVRANGE", this.keys.undelivered(group), from, "-", "COUNT", limit];
    const entries = (await this.#client.call(...call)) as [string, string[]][];
    return entries.map(([id, fields]) => [id, pairs(fields)]);
  }

  /** Takes a consumer that has stopped off the list. */
  async retire(group: string, consumer: string): Promise<void> {
    await this.#client.run(retire, [this.keys.workers(), this.keys.subscription(group)], [consumer]);
  }

  /** The figures of a subscription. */
  async figures(group: string): Promise<Figures> {
    const stream = this.keys.subscription(group);
    const [length, pending, bytes, oldest, retrying, dead] = await this.#client.replies([
      ["XLEN", stream],
      ["XPENDING", stream, GROUP],
      ["MEMORY", "USAGE", stream],
      ["XRANGE", stream, "-", "+", "COUNT", 1],
      ["ZCARD", this.keys.redeliveries(group)],
      ["XLEN", this.keys.undelivered(group)],
    ]);
    const number = (reply: unknown) => (typeof reply === "number" ? reply : 0);
    const inHand = Array.isArray(pending) ? number(pending[0]) : 0;
    const first = Array.isArray(oldest) ? (oldest as [string, unknown][])[0]?.[0] : undefined;
    return {
      ...{ waiting: Math.max(0, number(length) - inHand), inHand, retrying: number(retrying) },
      ...{ deadLetters: number(dead), bytes: number(bytes) },
      ...(first === undefined ? {} : { oldestAt_ms: Number(first.slice(0, first.indexOf("-"))) }),
    };
  }

  /** The keys of all that a subscription is, as scripts want them. */
  #of(group: string): string[] {
    const { keys } = this;
    return [keys.subscriptions(), keys.subscription(group), keys.redeliveries(group), keys.undelivered(group)];
  }

  #deliveries(group: string, raw: readonly (readonly [string, number, string[]])[]): Delivery[] {
    const deliveries: Delivery[] = [];
    for (const [id, count, fields] of raw) {
      const delivery = parseDelivery(id, count, fields);
      if (delivery !== undefined) deliveries.push(delivery);
      else log.error("entry {id} of subscription {group} is not one of ours, and is left pending", { id, group });
    }
    return deliveries;
  }

  #reply(reply: unknown): Reply {
    refuseWrongType(reply, "a subscription");
    return reply as Reply;
  }
}

export interface Figures {
  waiting: number;
  inHand: number;
  retrying: number;
  deadLetters: number;
  bytes: number;
  oldestAt_ms?: number;
}
