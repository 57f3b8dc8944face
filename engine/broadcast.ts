import type { ConfigEntry } from "./config.ts";
import { UnavailableError } from "./errors.ts";
import { logger } from "./log.ts";
import type { Subscriber } from "./redis/subscriber.ts";
import { Loop } from "./service.ts";
import { type BroadcastStore, type Change, CONFIG, NEVER, type Nudge, parseNudge } from "./store/broadcast-store.ts";

const log = logger("broadcast");

/** What is stored is read this often even if nothing was heard: pub/sub drops without a word. */
const LOOK_EVERY_MS = 3_000;
/** The first read waits that long for the channel to be heard, and is done again if that comes later. */
const LISTEN_MS = 1_000;
/** More than this is not kept of what is heard during a read. */
const MOST_HEARD = 100;
/** What was last read longer ago than this may be void. */
const FRESH_MS = 10_000;

type TopicListener = (topic: string, subject: string | undefined) => void;
type KeyListener = (key: string, entry: ConfigEntry | undefined) => void;

/**
 * This process's copy of what is broadcast. What is stored is the truth: it is read when somebody first asks, whenever the
 * subscription was broken, and every few seconds; what is heard in between is believed where it goes on from the
 * generation that is known, else all is read again.
 */
export class Broadcast {
  readonly #store: BroadcastStore;
  readonly #subscriber: () => Subscriber;
  readonly #loop = new Loop("broadcast", LOOK_EVERY_MS, async () => {
    await this.refresh();
    return undefined;
  });
  readonly #topicListeners = new Set<TopicListener>();
  readonly #keyListeners = new Set<KeyListener>();
  #generations: Map<string, string> | undefined;
  #entries = new Map<string, ConfigEntry>();
  #reading = false;
  #heard: Nudge[] = [];
  #lastRead: Promise<void> = Promise.resolve();
  #nextRead: Promise<void> | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #started: Promise<void> | undefined;
  #leave: (() => void) | undefined;
  #closed = false;

  constructor(store: BroadcastStore, subscriber: () => Subscriber) {
    this.#store = store;
    this.#subscriber = subscriber;
  }

  /** The configuration by key; undefined until it was first read. */
  get entries(): ReadonlyMap<string, ConfigEntry> | undefined {
    return this.#generations === undefined ? undefined : this.#entries;
  }

  /** Whether what is known was read not long ago: else Redis, or the way to it, is away. */
  get fresh(): boolean {
    return performance.now() - this.#readAt < FRESH_MS;
  }

  /** Reads what is stored unless that was done, and keeps up with it from here on. @throws UnavailableError */
  async ready(): Promise<void> {
    this.#started ??= this.#start();
    await this.#started;
    if (this.#generations === undefined) await this.refresh();
  }

  /** Reads what is stored now. @throws UnavailableError */
  refresh(): Promise<void> {
    // A read that is under way may be of before what the caller wants to see: the next one is for all who ask meanwhile.
    this.#nextRead ??= this.#lastRead
      .catch(() => {})
      .then(() => {
        this.#nextRead = undefined;
        this.#lastRead = this.#read();
        return this.#lastRead;
      });
    return this.#nextRead;
  }

  /** Stores a change and tells every process; this one knows it before that resolves. Undefined if nothing was to delete. */
  async send(change: Change): Promise<Nudge | undefined> {
    const nudge = await this.#store.send(change);
    if (nudge !== undefined && this.#generations !== undefined && !this.#take(nudge)) await this.refresh();
    return nudge;
  }

  /** Told of every topic, or part of one, whose cached results are void; `subject` undefined for all of it. */
  onTopic(listener: TopicListener): () => void {
    return this.#listen(this.#topicListeners, listener);
  }

  /** Told of every key that changes after the first read. */
  onKey(listener: KeyListener): () => void {
    return this.#listen(this.#keyListeners, listener);
  }

  async stop(): Promise<void> {
    this.#closed = true;
    this.#leave?.();
    await this.#loop.stop();
  }

  #listen<T>(listeners: Set<T>, listener: T): () => void {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Listens, and resolves when the channel is heard. */
  #start(): Promise<void> {
    if (this.#closed) throw new UnavailableError("This connection is closed.");
    const { heard, leave } = this.#subscriber().listen(this.#store.channel, {
      message: (text) => this.#hear(text),
      missed: () => this.#loop.wake(),
    });
    this.#leave = leave;
    this.#loop.start(LOOK_EVERY_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LISTEN_MS);
      const settle = () => {
        clearTimeout(timer);
        resolve();
        if (this.#generations !== undefined) this.#loop.wake();
      };
      heard.then(settle, (error) => {
        log.debug("the channel is not heard yet: {error}", { error });
        settle();
      });
    });
  }

  #hear(text: string): void {
    const nudge = parseNudge(text);
    if (nudge === undefined) return;
    if (!this.#reading) {
      if (!this.#take(nudge)) this.#loop.wake();
    } else if (this.#heard.push(nudge) > MOST_HEARD) {
      this.#heard = [];
      this.#loop.wake();
    }
  }

  async #read(): Promise<void> {
    const known = this.#generations;
    const askedAt = performance.now();
    this.#reading = true;
    try {
      const { generations, config } = await this.#store.read(known && (known.get(CONFIG) ?? NEVER));
      this.#readAt = askedAt;
      this.#generations = generations;
      if (config !== undefined) this.#replace(config, known !== undefined);
      // The first time all that there are: a listener may have been there before, and was told of nothing.
      for (const topic of new Set([...generations.keys(), ...(known?.keys() ?? [])]))
        if (topic !== CONFIG && generations.get(topic) !== known?.get(topic))
          this.#tell(this.#topicListeners, topic, undefined);
    } catch (error) {
      if (!this.#closed) throw error;
    } finally {
      this.#reading = false;
      const heard = this.#heard;
      this.#heard = [];
      for (const nudge of heard) if (!this.#take(nudge)) this.#loop.wake();
    }
  }

  /** Takes over what was told. False if only what is stored can say what is so now. */
  #take({ topic, before, now, act, subject, line }: Nudge): boolean {
    if (this.#generations === undefined || this.#reading) return false;
    const known = this.#generations.get(topic) ?? NEVER;
    if (known === now) return true;
    if (known !== before || act === "read") return false;
    this.#generations.set(topic, now);
    if (topic === CONFIG) this.#put(subject, line === undefined ? undefined : parseEntry(subject, line));
    else this.#tell(this.#topicListeners, topic, subject === "" ? undefined : subject);
    return true;
  }

  #replace(config: Record<string, string>, tell: boolean): void {
    const before = this.#entries;
    const entries = Object.entries(config).map(([key, line]) => parseEntry(key, line, before.get(key)));
    this.#entries = new Map(entries.flatMap((entry) => (entry === undefined ? [] : [[entry.key, entry]])));
    if (!tell) return;
    for (const [key, entry] of this.#entries) if (entry !== before.get(key)) this.#tell(this.#keyListeners, key, entry);
    for (const key of before.keys()) if (!this.#entries.has(key)) this.#tell(this.#keyListeners, key, undefined);
  }

  #put(key: string, entry: ConfigEntry | undefined): void {
    if (entry === undefined) this.#entries.delete(key);
    else this.#entries.set(key, entry);
    this.#tell(this.#keyListeners, key, entry);
  }

  #tell<A extends unknown[]>(listeners: ReadonlySet<(...args: A) => unknown>, ...args: A): void {
    for (const listener of [...listeners])
      try {
        // An async listener is not waited for, but its failure is ours to tell as well.
        Promise.resolve(listener(...args)).catch(logFailure);
      } catch (error) {
        logFailure(error);
      }
  }
}

function logFailure(error: unknown): void {
  log.error("a listener failed: {error}", { error });
}

/** An entry as stored, `COUNT-TIME_MS JSON`; the one that is known, if it is the same; undefined if it cannot be read. */
export function parseEntry(key: string, line: string, known?: ConfigEntry): ConfigEntry | undefined {
  try {
    const [, count, at, json] = /^(\d+)-(\d+) (.*)$/s.exec(line)!;
    const [revision, updatedAt] = [Number(count), new Date(Number(at)).toISOString()];
    if (known?.revision === revision && known.updatedAt === updatedAt) return known;
    return Object.freeze({ key, value: freeze(JSON.parse(json!)), revision, updatedAt });
  } catch (error) {
    log.error("the configuration's {key} cannot be read, and is left out: {error}", { key, error });
    return undefined;
  }
}

/** Every reader has the same value, so nobody may change it. */
function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
