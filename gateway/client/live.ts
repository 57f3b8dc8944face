import { ClientError } from "./errors.ts";
import type { Feed, Line } from "./lines.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Message } from "./types.ts";

/** What is begun in the same moment shares a connection. */
const GATHER_MS = 5;
/** After so many connections in a row that did not open, the other kind is tried. */
const TRIES_OF_KIND = 2;
/** A connection that lasted so long was well, though it may have carried nothing. */
const WELL_MS = 1_000;
const ENDED = new Set(["run.completed", "run.failed", "run.cancelled"]);

/** Whether the run has ended with this. */
export function isLast(message: Message): boolean {
  return message.type === "reset" ? message.snapshot.endedAt !== undefined : ENDED.has(message.type);
}

/** Who watches a run. */
export interface Sink {
  take(message: Message): void;
  heard(isLive: boolean): void;
  /** It has ended, or cannot be watched any more. */
  end(error?: unknown): void;
}

/** Where a watcher is: it takes what follows, each once and in order, and lets all else go by. */
class Watcher {
  readonly sink: Sink;
  #seq: number;
  #after: string;

  constructor(after: string, sink: Sink) {
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

/** All watchers of one run: it is subscribed to once, from where the last of them is. */
class RunFeed implements Feed {
  readonly run: string;
  readonly watchers = new Set<Watcher>();
  line: Line | undefined;
  /** It was refused together with others, and is asked for alone. */
  alone = false;
  /** How much has come of it. */
  taken = 0;
  readonly #onEmpty: (feed: RunFeed) => void;

  constructor(run: string, onEmpty: (feed: RunFeed) => void) {
    this.run = run;
    this.#onEmpty = onEmpty;
  }

  after(): string {
    const last = [...this.watchers].sort((a, b) => a.seq - b.seq)[0];
    return last?.after ?? "0";
  }

  take(message: Message): void {
    this.taken += 1;
    for (const watcher of this.watchers) if (watcher.take(message)) this.drop(watcher);
  }

  heard(isLive: boolean): void {
    for (const { sink } of this.watchers) sink.heard(isLive);
  }

  end(): void {
    for (const watcher of this.watchers) this.drop(watcher);
  }

  fail(error: unknown): void {
    for (const watcher of this.watchers) this.drop(watcher, error);
  }

  drop(watcher: Watcher, error?: unknown): void {
    if (!this.leave(watcher)) return;
    watcher.sink.end(error);
  }

  leave(watcher: Watcher): boolean {
    if (!this.watchers.delete(watcher)) return false;
    if (this.watchers.size === 0) this.#onEmpty(this);
    return true;
  }
}

/** Shares as few connections as it can between all that is watched, and makes new ones when they break. */
export class Live {
  /** Makes a connection of the kind that is preferred, or of the other. */
  readonly #newLine: (other: boolean) => Line;
  readonly #feeds = new Map<string, RunFeed>();
  readonly #lines = new Map<Line, Set<RunFeed>>();
  #failures = 0;
  #gathering = false;

  constructor(newLine: (other: boolean) => Line) {
    this.#newLine = newLine;
  }

  /** @param after a number or cursor @returns ends the watch, of which nothing is told then */
  watch(run: string, after: string, sink: Sink): () => void {
    const watcher = new Watcher(after, sink);
    let feed = this.#feeds.get(run);
    if (feed === undefined) {
      feed = new RunFeed(run, (empty) => this.#forget(empty));
      this.#feeds.set(run, feed);
    }
    feed.watchers.add(watcher);
    // One that begins further back has to be told what the others know.
    if (feed.line === undefined) this.#gather(GATHER_MS);
    else feed.line.begin(feed);
    const mine = feed;
    return () => void mine.leave(watcher);
  }

  /** Ends every watch. */
  close(): void {
    for (const feed of [...this.#feeds.values()]) feed.end();
  }

  #forget(feed: RunFeed): void {
    this.#feeds.delete(feed.run);
    const { line } = feed;
    const carried = line && this.#lines.get(line);
    if (line === undefined || carried === undefined) return;
    carried.delete(feed);
    if (carried.size === 0) line.close();
    else line.leave(feed.run);
  }

  #gather(ms: number): void {
    if (this.#gathering) return;
    this.#gathering = true;
    void pause(ms).then(() => {
      this.#gathering = false;
      this.#assign();
    });
  }

  /** Gives every run that has no connection one. */
  #assign(): void {
    const waiting = [...this.#feeds.values()].filter(({ line }) => line === undefined);
    for (const [line, carried] of this.#lines)
      while (line.takesMore && waiting.length > 0 && carried.size < line.room) {
        const feed = waiting.pop()!;
        feed.line = line;
        carried.add(feed);
        line.begin(feed);
      }
    while (waiting.length > 0) {
      const line = this.#newLine(this.#failures % (2 * TRIES_OF_KIND) >= TRIES_OF_KIND);
      const alone = waiting.find((feed) => feed.alone);
      const carried = new Set(alone === undefined ? waiting.splice(0, line.room) : [alone]);
      if (alone !== undefined) waiting.splice(waiting.indexOf(alone), 1);
      else this.#takeOver(line, carried);
      for (const feed of carried) feed.line = line;
      this.#lines.set(line, carried);
      void this.#carry(line, carried);
    }
  }

  /** A connection that takes no more is replaced, where it can be, by this one, which carries its runs as well. */
  #takeOver(line: Line, carried: Set<RunFeed>): void {
    for (const [other, theirs] of this.#lines) {
      if (other.takesMore || carried.size + theirs.size > line.room || [...theirs].some(({ alone }) => alone)) continue;
      for (const feed of theirs) carried.add(feed);
      this.#lines.delete(other);
      other.close();
    }
  }

  async #carry(line: Line, carried: Set<RunFeed>): Promise<void> {
    let failure: unknown;
    let openAt = Number.POSITIVE_INFINITY;
    const taken = () => [...carried].reduce((sum, feed) => sum + feed.taken, 0);
    const before = taken();
    try {
      await line.carry(carried, () => {
        openAt = performance.now();
        for (const feed of carried) feed.heard(true);
      });
    } catch (error) {
      failure = error;
    }
    // Another one has taken over what it carried.
    if (!this.#lines.delete(line)) return;
    const isWell = performance.now() - openAt >= WELL_MS || taken() > before;
    this.#failures = isWell ? 0 : this.#failures + 1;
    const isRefused = failure instanceof ClientError && failure.status < 500 && failure.status !== 429;
    for (const feed of carried) {
      feed.line = undefined;
      feed.heard(false);
      if (isRefused && carried.size > 1) feed.alone = true;
      else if (isRefused) feed.fail(failure);
    }
    if (this.#feeds.size > 0) this.#gather(backoffMs(this.#failures));
  }
}
