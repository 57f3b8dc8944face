import { Hub } from "../../../engine/firehose/hub.ts";
import { watchAll } from "../../../engine/firehose/watch-all.ts";
import type { Millrace, RunSummary } from "../../../engine/index.ts";
import { NamespaceKeys, type PartitionKeys } from "../../../engine/keys.ts";
import { Partitions } from "../../../engine/partitions.ts";
import type { Call } from "../../../engine/redis/client.ts";
import type { ChannelListener, PatternListener, Subscriber } from "../../../engine/redis/subscriber.ts";
import type { FirehoseStore, RunEnd, RunInfo } from "../../../engine/store/firehose-store.ts";
import type { Store } from "../../../engine/store.ts";
import type { Random } from "../faults/random.ts";

const TENANT = "default";
const LIVE = ["queued", "waiting", "running"];
/** A run goes on so many times after it has ended. */
const REOPENED = 2;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

interface ModelRun {
  id: string;
  createdAt: number;
  status: string;
  lines: string[];
  length: number;
  /** How often it went on after it had ended. */
  reopened: number;
}

/**
 * Runs whose logs grow, in a Redis that answers late and whose subscriptions are cut: what was not heard by then is lost. Runs move
 * between indexes, and not each time with an event; what had ended may go on, and events are stored some time after they happened.
 */
export class FirehoseModel {
  readonly #random: Random;
  readonly #keys = new NamespaceKeys("model");
  readonly #partitions: Partitions;
  readonly runs = new Map<string, ModelRun>();
  readonly #ends: RunEnd[] = [];
  #now = 1_000_000_000_000;
  /** What was published and is under way to the subscriber. */
  #wire: (() => void)[] = [];
  readonly #channels = new Map<string, ChannelListener>();
  #pattern: PatternListener | undefined;
  /** The server sends what is published. */
  #isHeard = false;
  /** Listeners are told of it. */
  #isHearing = true;
  readonly millrace: Pick<Millrace, "watchAll" | "runs">;

  constructor(random: Random) {
    this.#random = random;
    this.#partitions = new Partitions(this.#keys, random.whole(1, 3));
    this.#store.allPartitions = this.#partitions.all;
    const hub = new Hub(this.#firehose, () => this.#subscriber, this.#keys, 1);
    const parts = { store: this.#store as unknown as Store, firehose: this.#firehose, hub };
    const view = () => Promise.reject(new Error("no reset of a run is due"));
    const liveRuns = async () => {
      await this.#turns();
      const runs = [...this.runs.values()].filter(({ status }) => LIVE.includes(status));
      return { runs: runs.map(({ id, lines }) => ({ id, seq: lines.length }) as RunSummary), more: false };
    };
    this.millrace = {
      watchAll: (options = {}) => watchAll({ ...parts, view, liveRuns }, { tenant: TENANT, ...options }),
      runs: {
        summary: async (id: string) => ({ seq: this.runs.get(id)!.lines.length }),
      } as unknown as Millrace["runs"],
    };
  }

  get isDone(): boolean {
    return [...this.runs.values()].every(({ lines, length }) => lines.length === length);
  }

  /** One thing happens. */
  step(mostRuns: number): void {
    this.#now += this.#random.whole(0, 2);
    const runs = [...this.runs.values()];
    const live = runs.filter(({ lines, length }) => lines.length < length);
    const ended = runs.filter(({ lines, length, reopened }) => lines.length === length && reopened < REOPENED);
    const kind = this.#random.next();
    if (kind < 0.15 && this.runs.size < mostRuns) this.#admit();
    else if (kind < 0.2 && ended.length > 0) this.#reopen(this.#random.pick(ended));
    else if (live.length > 0 && kind < 0.5) this.#commit(this.#random.pick(live));
    else if (live.length > 0) this.#random.pick(live).status = this.#random.pick(LIVE);
  }

  /** Nothing happens for a while. */
  pass(): void {
    this.#now += 2;
  }

  /** What is under way comes, a part of it or all. */
  deliver(all: boolean): void {
    for (let n = all ? this.#wire.length : this.#random.whole(0, this.#wire.length); n > 0; n -= 1) this.#take();
  }

  #take(): void {
    const message = this.#wire.shift()!;
    if (this.#isHearing) message();
  }

  /** The subscriber's connection breaks, and a new one is made after a while. */
  async cut(): Promise<void> {
    this.#wire = [];
    this.#isHeard = false;
    this.#isHearing = false;
    await this.#turns();
    this.#isHeard = true;
    await this.#turns();
    this.#isHearing = true;
    this.#pattern?.missed();
  }

  #admit(): void {
    const id = this.#partitions.newRunId();
    const length = this.#random.whole(2, 12);
    this.runs.set(id, { id, createdAt: this.#now, status: "queued", lines: [], length, reopened: 0 });
    this.#append(this.runs.get(id)!, "run.queued");
  }

  #reopen(run: ModelRun): void {
    run.reopened += 1;
    run.length += this.#random.whole(2, 4);
    run.status = "queued";
    this.#append(run, "run.queued");
  }

  #commit(run: ModelRun): void {
    const isLast = run.lines.length === run.length - 1;
    run.status = isLast ? "completed" : this.#random.pick(LIVE);
    if (isLast) this.#ends.push({ run: run.id, workflow: "flow", at: this.#now });
    this.#append(run, isLast ? "run.completed" : "step.output");
  }

  #append(run: ModelRun, type: string): void {
    const ago = type === "step.output" && this.#random.next() < 0.3 ? `~${this.#random.whole(1, 5)}` : "";
    run.lines.push(`${this.#now}${ago} ${JSON.stringify({ type })}`);
    const last = run.lines.length;
    const text = this.#random.next() < 0.2 ? `${last}` : `${last}\n${run.lines[last - 1]}`;
    if (!this.#isHeard || this.#pattern === undefined) return;
    this.#wire.push(() => this.#pattern?.message(this.#partitions.of(run.id).runChannel(run.id), text));
  }

  async #turns(): Promise<void> {
    for (let n = this.#random.whole(0, 3); n > 0; n -= 1) await turn();
  }

  readonly #subscriber = {
    listen: (channel: string, listener: ChannelListener) => {
      this.#channels.set(channel, listener);
      return { heard: Promise.resolve(), leave: () => this.#channels.delete(channel) };
    },
    listenPattern: (_: string, listener: PatternListener) => {
      const heard = this.#turns().then(() => {
        this.#pattern = listener;
        this.#isHeard = true;
      });
      const leave = () => {
        if (this.#pattern === listener) this.#pattern = undefined;
      };
      return { heard, leave };
    },
  } as unknown as Subscriber;

  readonly #store = {
    partitionKeys: (run: string) => this.#partitions.of(run),
    allPartitions: [] as readonly PartitionKeys[],
    readLog: async (id: string, after: number, _tag: number | undefined, most: number) => {
      await this.#turns();
      const { lines, status } = this.runs.get(id)!;
      const page = { found: true, stale: false, tenant: TENANT, status, last: lines.length };
      const read = { ...page, lines: lines.slice(after, after + Math.min(most, this.#random.whole(1, 3))) };
      await this.#turns();
      return read;
    },
  };

  readonly #firehose = {
    time: async (callOf?: (server: number) => Call) => {
      await this.#turns();
      const time = this.#now;
      const [, channel, text] = callOf?.(0) ?? [];
      if (channel !== undefined && this.#isHeard)
        this.#wire.push(() => this.#channels.get(String(channel))?.message(String(text)));
      await this.#turns();
      return time;
    },
    infos: (runs: string[]) => this.#reply(() => runs.map(infoOf)),
    ends: (keys: PartitionKeys, _: string, since: number, skip: number, limit: number) =>
      this.#reply(() => {
        const ends = this.#ends.filter(({ run, at }) => at > since && this.#partitions.of(run) === keys);
        return { count: ends.length, ends: ends.slice(skip, skip + limit) };
      }),
    size: () => this.#reply(() => this.runs.size),
    page: (key: string, from: number, count: number) =>
      this.#reply(() => {
        const isIn = ({ id, status }: ModelRun) => this.#partitions.of(id).runsByStatus(TENANT, status) === key;
        return this.#places((run) => isIn(run) && run.createdAt >= from).slice(0, count);
      }),
    changed: (_: PartitionKeys, runs: string[], since: number) =>
      this.#reply(() => runs.filter((id) => timeOf(this.runs.get(id)!.lines.at(-1)!) > since).map(infoOf)),
    since: (id: string, ms: number) =>
      this.#reply(() => {
        const { lines } = this.runs.get(id)!;
        const found = lines.findIndex((line) => timeOf(line) > ms);
        const at = found < 0 ? lines.length : found;
        const page = { found: true, stale: false, tenant: TENANT, last: lines.length, first: at + 1 };
        return { ...page, lines: lines.slice(at, at + 2) };
      }),
  } as unknown as FirehoseStore;

  /** What is so at one moment between a call and its reply. */
  async #reply<T>(read: () => T): Promise<T> {
    await this.#turns();
    const reply = read();
    await this.#turns();
    return reply;
  }

  #places(isWanted: (run: ModelRun) => boolean): [string, number][] {
    const found = [...this.runs.values()]
      .filter(isWanted)
      .map(({ id, createdAt }): [string, number] => [id, createdAt]);
    return found.sort(([a, m], [b, n]) => m - n || (a < b ? -1 : 1));
  }
}

function timeOf(line: string): number {
  return Number.parseInt(line, 10);
}

function infoOf(id: string): RunInfo {
  return { run: id, tenant: TENANT, workflow: "flow", tags: [] };
}
