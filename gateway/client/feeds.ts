import type { Feed, Line, Told } from "./lines.ts";
import type { Message, Topic } from "./types.ts";

const ENDED = new Set(["run.completed", "run.failed", "run.cancelled"]);

/** Whether the run has ended with this. */
export function isLast(message: Message): boolean {
  return message.type === "reset" ? message.snapshot.endedAt !== undefined : ENDED.has(message.type);
}

/** Who watches. */
export interface Sink<M> {
  take(message: M): void;
  heard(isLive: boolean): void;
  /** It has ended, or cannot be watched any more. */
  end(error?: unknown): void;
}

interface Watching {
  readonly sink: Sink<never>;
}

/** All watchers of one topic: it is subscribed to once. */
export abstract class AnyFeed<W extends Watching = Watching> implements Feed {
  readonly topic: Topic;
  readonly watchers = new Set<W>();
  line: Line | undefined;
  /** It was refused together with others: those with which it is asked for again. */
  lot: object | undefined;
  /** How much has come of it. */
  taken = 0;
  readonly #onEmpty: (feed: AnyFeed) => void;

  constructor(topic: Topic, onEmpty: (feed: AnyFeed) => void) {
    this.topic = topic;
    this.#onEmpty = onEmpty;
  }

  abstract after(): string | undefined;
  abstract take(told: Told): void;

  heard(isLive: boolean): void {
    for (const { sink } of this.watchers) sink.heard(isLive);
  }

  end(): void {
    for (const watcher of this.watchers) this.drop(watcher);
  }

  fail(error: unknown): void {
    for (const watcher of this.watchers) this.drop(watcher, error);
  }

  drop(watcher: W, error?: unknown): void {
    if (!this.leave(watcher)) return;
    watcher.sink.end(error);
  }

  leave(watcher: W): boolean {
    if (!this.watchers.delete(watcher)) return false;
    if (this.watchers.size === 0) this.#onEmpty(this);
    return true;
  }
}

/** Where a watcher of a run is: it takes what follows, each once and in order, and lets all else go by. */
class RunWatcher {
  readonly sink: Sink<Message>;
  #seq: number;
  #after: string;

  constructor(after: string, sink: Sink<Message>) {
    this.sink = sink;
    this.#after = after;
    this.#seq = Number.parseInt(after, 10);
  }

  get seq(): number {
    return this.#seq;
  }

  get after(): string {
    return this.#after;
  }

  /** @returns whether the run has ended with it */
  take(message: Message): boolean {
    if (message.type === "reset") this.#after = String(message.seq);
    else if (message.seq === this.#seq + 1) this.#after = message.cursor;
    else return false;
    this.#seq = message.seq;
    this.sink.take(message);
    return isLast(message);
  }
}

/** Of one run: it is told from where the last of its watchers is. */
export class RunFeed extends AnyFeed<RunWatcher> {
  after(): string {
    const last = [...this.watchers].sort((a, b) => a.seq - b.seq)[0];
    return last?.after ?? "0";
  }

  take(told: Told): void {
    this.taken += 1;
    for (const watcher of this.watchers) if (watcher.take(told as Message)) this.drop(watcher);
  }

  /** @param after a number or cursor @returns ends the watch */
  add(after: string, sink: Sink<Message>): () => void {
    const watcher = new RunWatcher(after, sink);
    this.watchers.add(watcher);
    // One that begins further back has to be told what the others know.
    this.line?.begin(this);
    return () => void this.leave(watcher);
  }
}

/** What a watcher of many runs is told; `reset`: what it knows of them is of before, from now on it is told what happens. */
export type OfMany = Exclude<Message, { type: "reset" }> | { type: "reset" };

/** Of many runs: from now on, and after an interruption from where it was. */
export class ManyFeed extends AnyFeed<{ sink: Sink<OfMany> }> {
  #after: string | undefined;

  after(): string | undefined {
    return this.#after;
  }

  take(told: Told): void {
    this.taken += 1;
    if (told.type !== "cursor") this.#tell(told);
    else {
      const isFirst = this.#after === undefined;
      this.#after = told.cursor;
      if (isFirst) this.#tell({ type: "reset" });
    }
  }

  /** @returns ends the watch */
  add(sink: Sink<OfMany>): () => void {
    const watcher = { sink };
    this.watchers.add(watcher);
    if (this.#after !== undefined) sink.take({ type: "reset" });
    return () => void this.leave(watcher);
  }

  #tell(message: OfMany): void {
    for (const { sink } of this.watchers) sink.take(message);
  }
}
