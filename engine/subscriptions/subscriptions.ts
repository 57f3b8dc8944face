import { compareIds } from "../entry.ts";
import { ConflictError, type ErrorRecord, InvalidInputError, NotFoundError } from "../errors.ts";
import { isAlive } from "../read-health.ts";
import type { Records } from "../records.ts";
import { Reply, type SubscriptionStore } from "../store/subscription-store.ts";
import type { Page, PageOptions } from "../views.ts";
import { parseEvent } from "./delivery.ts";
import { checkGroup, parseSettings, type SubscriptionOptions, subscriptionSettings } from "./settings.ts";
import type { SubscriptionsApi, SubscriptionView, UndeliveredView } from "./types.ts";

const AT_ONCE = 100;

/** What operators do with subscriptions. */
export class Subscriptions implements SubscriptionsApi {
  readonly #stores: readonly SubscriptionStore[];
  readonly #records: Records;

  /** @param stores one per partition */
  constructor(stores: readonly SubscriptionStore[], records: Records) {
    this.#stores = stores;
    this.#records = records;
  }

  async create(options: SubscriptionOptions): Promise<SubscriptionView> {
    const settings = subscriptionSettings(options);
    for (const store of this.#stores)
      if ((await store.subscribe(settings)) === Reply.Full)
        throw new ConflictError(
          "too_many_subscriptions",
          "There are as many subscriptions as there may be: delete one.",
        );
    return this.get(settings.group);
  }

  async list(): Promise<SubscriptionView[]> {
    const groups = new Set<string>();
    for (const store of this.#stores)
      for (const field of Object.keys(await store.fields()))
        if (field.startsWith("of:")) groups.add(field.slice("of:".length));
    const views = await Promise.all([...groups].sort().map((group) => this.#view(group)));
    return views.filter((view) => view !== undefined);
  }

  async get(group: string): Promise<SubscriptionView> {
    checkGroup(group);
    const view = await this.#view(group);
    if (view === undefined) throw new NotFoundError("subscription", group);
    return view;
  }

  async delete(group: string): Promise<void> {
    checkGroup(group);
    const replies = await Promise.all(this.#stores.map((store) => store.unsubscribe(group)));
    if (!replies.includes(Reply.Done)) throw new NotFoundError("subscription", group);
  }

  async resume(group: string): Promise<{ missed: { from: string; to: string } }> {
    const { maxBytes } = await this.get(group);
    const gaps: [from: number, to: number][] = [];
    for (const store of this.#stores) {
      const [reply, detail, now] = await store.resume(group, maxBytes);
      if (reply === Reply.UnknownRun) throw new NotFoundError("subscription", group);
      if (reply === Reply.Full)
        throw new ConflictError("still_full", `Its ${detail} take more than ${maxBytes} bytes still.`);
      if (reply === Reply.Done) gaps.push([Number(detail), now!]);
    }
    if (gaps.length === 0) throw new ConflictError("not_paused", "The subscription is not paused.");
    return { missed: spanOf(gaps) };
  }

  async deadLetters(group: string, { limit = 20, cursor }: PageOptions = {}): Promise<Page<UndeliveredView>> {
    await this.get(group);
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= 100)) throw invalid("limit", "Expected 1 to 100");
    const before = cursor === undefined ? undefined : parseLetter(cursor);
    if (cursor !== undefined && before === undefined) throw invalid("cursor", "Expected the next of an earlier page");
    const found: UndeliveredView[] = [];
    for (const [p, store] of this.#stores.entries()) {
      // Of those with the cursor's id, the ones of this partition were shown if it comes no later.
      const from = before === undefined ? "+" : `${p <= before.partition ? "(" : ""}${before.entry}`;
      for (const [entry, of] of await store.undelivered(group, from, limit + 1)) {
        const event = parseEvent(of);
        if (event === undefined) continue;
        const error = JSON.parse(of.error!) as ErrorRecord;
        const at = iso(entry.slice(0, entry.indexOf("-")));
        found.push({ id: `${p}-${entry}`, event, attempts: Number(of.attempts), error, at });
      }
    }
    found.sort((a, b) => compareIds(entryOf(b.id), entryOf(a.id)));
    const data = found.slice(0, limit);
    return found.length > limit ? { data, next: data[limit - 1]!.id } : { data };
  }

  replay(group: string, id?: string): Promise<number> {
    return this.#take(group, "replay", id);
  }

  discard(group: string, id?: string): Promise<number> {
    return this.#take(group, "discard", id);
  }

  async #take(group: string, act: "replay" | "discard", id: string | undefined): Promise<number> {
    await this.get(group);
    if (id === undefined) {
      const taken = await Promise.all(this.#stores.map((store) => this.#takeAll(store, group, act)));
      return taken.reduce((sum, each) => sum + each, 0);
    }
    const letter = parseLetter(id);
    const store = letter && this.#stores[letter.partition];
    const taken = await store?.takeUndelivered(group, act, [letter!.entry]);
    if (!taken) throw new NotFoundError("dead letter", id);
    return taken;
  }

  /** From the newest on: what dies again meanwhile is newer, and is left. */
  async #takeAll(store: SubscriptionStore, group: string, act: "replay" | "discard"): Promise<number> {
    let from = "+";
    for (let taken = 0; ; ) {
      const ids = (await store.undelivered(group, from, AT_ONCE)).map(([entry]) => entry);
      if (ids.length === 0) return taken;
      taken += await store.takeUndelivered(group, act, ids);
      from = `(${ids[ids.length - 1]}`;
    }
  }

  async #view(group: string): Promise<SubscriptionView | undefined> {
    const fields = await Promise.all(this.#stores.map((store) => store.fields()));
    const json = fields.map((of) => of[`of:${group}`]).find((of) => of !== undefined);
    if (json === undefined) return undefined;
    const figures = await Promise.all(this.#stores.map((store) => store.figures(group)));
    const sum = (name: "waiting" | "inHand" | "retrying" | "deadLetters" | "bytes") =>
      figures.reduce((total, each) => total + each[name], 0);
    const times = figures.flatMap(({ oldestAt_ms }) => (oldestAt_ms === undefined ? [] : [oldestAt_ms]));
    const paused = fields.flatMap((of) => of[`paused:${group}`]?.split(" ") ?? []);
    const gaps = fields.flatMap((of) => (of[`gap:${group}`] === undefined ? [] : [spanText(of[`gap:${group}`]!)]));
    const since = fields.map((of) => Number(of[`since:${group}`] ?? Number.POSITIVE_INFINITY));
    return {
      ...parseSettings(group, json),
      createdAt: iso(Math.min(...since)),
      ...{ waiting: sum("waiting"), inHand: sum("inHand"), retrying: sum("retrying") },
      ...{ deadLetters: sum("deadLetters"), bytes: sum("bytes") },
      ...(times.length === 0 ? {} : { oldestAt: iso(Math.min(...times)) }),
      consumers: await this.#consumers(group),
      ...(paused.length === 0 ? {} : { paused: { reason: paused[0] as "full", since: iso(paused[1]!) } }),
      ...(gaps.length === 0 ? {} : { gap: spanOf(gaps) }),
    };
  }

  async #consumers(group: string): Promise<number> {
    const ids = new Set<string>();
    for (const { keys } of this.#stores)
      for (const worker of await this.#records.workers(keys))
        if (isAlive(worker) && worker.streams.includes(keys.subscription(group))) ids.add(worker.consumer);
    return ids.size;
  }
}

/** The partition and the entry in the id of a dead letter; undefined if it is none. */
function parseLetter(id: string): { partition: number; entry: string } | undefined {
  const match = /^(\d{1,5})-(\d{1,20}-\d{1,20})$/.exec(id);
  return match === null ? undefined : { partition: Number(match[1]), entry: match[2]! };
}

function entryOf(id: string): string {
  return id.slice(id.indexOf("-") + 1);
}

function spanText(text: string): [number, number] {
  const [from, to] = text.split(" ").map(Number);
  return [from!, to!];
}

function spanOf(gaps: readonly [number, number][]): { from: string; to: string } {
  return { from: iso(Math.min(...gaps.map(([from]) => from))), to: iso(Math.max(...gaps.map(([, to]) => to))) };
}

function iso(ms: number | string): string {
  return new Date(Number(ms)).toISOString();
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
}
