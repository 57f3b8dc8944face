import { newId } from "../ids.ts";
import type { NamespaceKeys } from "../keys.ts";
import { logger } from "../log.ts";
import type { Subscriber } from "../redis/subscriber.ts";
import type { FirehoseStore, RunInfo } from "../store/firehose-store.ts";
import { type Feed, isWanted, type Mark, Told } from "./feed.ts";

const log = logger("firehose");

/** How often it finds out up to when all was heard. */
const MARK_MS = 1_000;
/** After so long without that, watchers look for what they were not told of. */
const DEAF_MS = 5_000;
/** What was heard and not yet handed to the watchers is kept up to this many characters. */
const HELD_LIMIT = 8_388_608;
/** Of so many runs it remembers whose they are. */
const KNOWN_RUNS = 20_000;

/** What was heard of a run. */
interface Heard {
  run: string;
  text: string;
}

interface Pending {
  /** The servers at which it was left and from which it was not heard. */
  readonly unheard: Set<number>;
  time?: number;
}

/**
 * Hears the channels of all runs, while somebody watches many of them, and tells each watcher of those that it wants. A
 * message is taken apart once for all of them.
 *
 * What is published at a server is heard in that order. So once it hears a mark of its own, it has heard all that was published
 * at that server before; on a cluster it leaves one at each.
 */
export class Hub {
  readonly #store: FirehoseStore;
  readonly #subscriber: () => Subscriber;
  readonly #keys: NamespaceKeys;
  readonly #channel: string;
  readonly #markMs: number;
  readonly #feeds = new Set<Feed>();
  readonly #known = new Map<string, RunInfo>();
  readonly #pending = new Map<number, Pending>();
  #items: (Heard | Mark)[] = [];
  #held = 0;
  #pumping = false;
  #marks = 0;
  #isMarking = false;
  #markedAt = 0;
  /** How often what was heard could not be trusted to be all. */
  #losses = 0;
  #heard: Promise<void> | undefined;
  #stop = (): void => {};

  /** @param markMs how often it finds out up to when all was heard; for tests to shorten */
  constructor(store: FirehoseStore, subscriber: () => Subscriber, keys: NamespaceKeys, markMs = MARK_MS) {
    this.#store = store;
    this.#markMs = markMs;
    this.#subscriber = subscriber;
    this.#keys = keys;
    this.#channel = keys.heard(newId());
  }

  /** From here on the feed is told, until `leave` is called. `heard` is as that of a subscriber. */
  join(feed: Feed): { heard: Promise<void>; leave(): void } {
    this.#feeds.add(feed);
    this.#heard ??= this.#start();
    const leave = () => {
      if (!this.#feeds.delete(feed) || this.#feeds.size > 0) return;
      this.#stop();
      this.#heard = undefined;
    };
    return { heard: this.#heard, leave };
  }

  #start(): Promise<void> {
    const subscriber = this.#subscriber();
    const marks = subscriber.listen(this.#channel, { message: (text) => this.#hear(text), missed: () => {} });
    const runs = subscriber.listenPattern(this.#keys.everyRunChannel(), {
      message: (channel, text) => this.#add({ run: channel.slice(channel.lastIndexOf(":") + 1), text }),
      missed: () => this.#missed(),
    });
    this.#markedAt = performance.now();
    const marking = setInterval(() => this.#mark(), this.#markMs);
    this.#stop = () => {
      clearInterval(marking);
      marks.leave();
      runs.leave();
      this.#forget();
    };
    return Promise.all([marks.heard, runs.heard]).then(() => {});
  }

  #add(item: Heard | Mark): void {
    this.#items.push(item);
    if ("text" in item) this.#held += item.text.length;
    if (this.#held > HELD_LIMIT) this.#missed();
    else void this.#pump();
  }

  #missed(): void {
    this.#forget();
    for (const feed of this.#feeds) feed.missed();
  }

  #forget(): void {
    this.#losses += 1;
    this.#items = [];
    this.#held = 0;
    this.#pending.clear();
  }

  /** Hands on what was heard, in order; it waits only to learn whose a run is. */
  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#items.length > 0) {
      const items = this.#items;
      const losses = this.#losses;
      this.#items = [];
      this.#held = 0;
      const unknown = new Set<string>();
      for (const item of items) if ("text" in item && !this.#known.has(item.run)) unknown.add(item.run);
      try {
        if (unknown.size > 0) await this.#learn([...unknown]);
      } catch (error) {
        log.debug("whose runs were heard could not be read: {error}", { error });
        this.#missed();
      }
      if (losses !== this.#losses) continue;
      for (const item of items) this.#tell(item);
    }
    this.#pumping = false;
  }

  async #learn(runs: string[]): Promise<void> {
    for (const info of await this.#store.infos(runs)) this.#known.set(info.run, info);
  }

  #tell(item: Heard | Mark): void {
    if ("time" in item) {
      for (const feed of this.#feeds) feed.put(item);
      this.#dropKnown();
      return;
    }
    // A run that is gone by now has nothing more to tell.
    const info = this.#known.get(item.run);
    if (info === undefined) return;
    let told: Told | undefined;
    for (const feed of this.#feeds) {
      if (!isWanted(feed.filter, info)) continue;
      told ??= new Told(info, item.text);
      feed.put(told);
    }
  }

  #dropKnown(): void {
    for (const run of this.#known.keys()) {
      if (this.#known.size <= KNOWN_RUNS) return;
      this.#known.delete(run);
    }
  }

  #mark(): void {
    if (performance.now() - this.#markedAt > DEAF_MS) {
      this.#markedAt = performance.now();
      log.warn("what is published was not heard for {ms} ms: watchers look for what they may have missed", {
        ms: DEAF_MS,
      });
      this.#missed();
    }
    if (this.#isMarking) return;
    this.#isMarking = true;
    this.#leaveMark()
      .catch((error) => log.debug("mark: {error}", { error }))
      .finally(() => {
        this.#isMarking = false;
      });
  }

  async #leaveMark(): Promise<void> {
    this.#marks += 1;
    const number = this.#marks;
    const pending: Pending = { unheard: new Set() };
    this.#pending.set(number, pending);
    pending.time = await this.#store.time((server) => {
      pending.unheard.add(server);
      return ["PUBLISH", this.#channel, `${number} ${server}`];
    });
    this.#settle(number);
  }

  #hear(text: string): void {
    const [number, server] = text.split(" ").map(Number);
    this.#pending.get(number!)?.unheard.delete(server!);
    this.#settle(number!);
  }

  #settle(number: number): void {
    const { unheard, time } = this.#pending.get(number) ?? {};
    if (unheard === undefined || time === undefined || unheard.size > 0) return;
    for (const each of this.#pending.keys()) if (each <= number) this.#pending.delete(each);
    this.#markedAt = performance.now();
    this.#add({ time });
  }
}
