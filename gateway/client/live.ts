import { ClientError } from "./errors.ts";
import { isPassing } from "./http.ts";
import { AdmissionError, type Feed, type Line } from "./lines.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Message } from "./types.ts";

/** What is begun in the same moment shares a connection. */
const GATHER_MS = 5;
/** After so many sockets in a row that did not open, event streams are tried. */
const TRIES_OF_SOCKET = 2;
/** So often in a row there may be no ticket, or one that does not work. */
const TRIES_OF_TICKET = 5;
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
  /** It was refused together with others: those with which it is asked for again. */
  lot: object | undefined;
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
  readonly #newLine: (bySocket: boolean) => Line;
  readonly #feeds = new Map<string, RunFeed>();
  readonly #lines = new Map<Line, Set<RunFeed>>();
  readonly #open = new Set<Line>();
  /** Connections in a row that were no good. */
  #failures = 0;
  /** Sockets in a row that did not open, though something may get through. */
  #unopened = 0;
  #unadmitted = 0;
  #gathering = false;
  #closed = false;

  constructor(newLine: (bySocket: boolean) => Line) {
    this.#newLine = newLine;
  }

  /** @param after a number or cursor @returns ends the watch, of which nothing is told then */
  watch(run: string, after: string, sink: Sink): () => void {
    if (this.#closed) {
      queueMicrotask(() => sink.end());
      return () => {};
    }
    const watcher = new Watcher(after, sink);
    let feed = this.#feeds.get(run);
    if (feed === undefined) {
      feed = new RunFeed(run, (empty) => this.#forget(empty));
      this.#feeds.set(run, feed);
    }
    feed.watchers.add(watcher);
    const { line } = feed;
    if (line === undefined) this.#gather(GATHER_MS);
    else {
      // One that begins further back has to be told what the others know.
      line.begin(feed);
      if (this.#open.has(line)) sink.heard(true);
    }
    const mine = feed;
    return () => void mine.leave(watcher);
  }

  /** Ends every watch, for good. */
  close(): void {
    this.#closed = true;
    for (const feed of [...this.#feeds.values()]) feed.end();
  }

  #forget(feed: RunFeed): void {
    this.#feeds.delete(feed.run);
    for (const [line, carried] of this.#lines) {
      if (!carried.delete(feed)) continue;
      if (carried.size === 0) line.close();
      else line.leave(feed.run);
    }
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
        if (this.#open.has(line)) feed.heard(true);
      }
    for (const lot of new Set(waiting.map((feed) => feed.lot))) {
      const together = waiting.filter((feed) => feed.lot === lot);
      while (together.length > 0) {
        const line = this.#newLine(this.#unopened < TRIES_OF_SOCKET);
        const carried = new Set(together.splice(0, line.room));
        const replaced = lot === undefined ? this.#replacedBy(line, carried) : [];
        for (const feed of carried) feed.line = line;
        this.#lines.set(line, carried);
        void this.#carry(line, carried, replaced);
      }
    }
  }

  /** Connections that take no more, and whose runs this one can carry as well once it is open. */
  #replacedBy(line: Line, carried: Set<RunFeed>): Line[] {
    const replaced: Line[] = [];
    for (const [other, theirs] of this.#lines) {
      if (other.takesMore || !this.#open.has(other) || carried.size + theirs.size > line.room) continue;
      if ([...theirs].some((feed) => feed.line !== other)) continue;
      for (const feed of theirs) carried.add(feed);
      replaced.push(other);
    }
    return replaced;
  }

  async #carry(line: Line, carried: Set<RunFeed>, replaced: readonly Line[]): Promise<void> {
    let failure: unknown;
    let openAt: number | undefined;
    const taken = () => [...carried].reduce((sum, feed) => sum + feed.taken, 0);
    const before = taken();
    try {
      await line.carry(carried, () => {
        openAt = performance.now();
        this.#open.add(line);
        this.#unadmitted = 0;
        for (const other of replaced) {
          this.#lines.delete(other);
          other.close();
        }
        for (const feed of carried) {
          feed.lot = undefined;
          feed.heard(true);
        }
      });
    } catch (error) {
      failure = error;
    }
    this.#open.delete(line);
    // Another one carries what it did.
    if (!this.#lines.delete(line)) return;
    const isWell = openAt !== undefined && (performance.now() - openAt >= WELL_MS || taken() > before);
    this.#failures = isWell ? 0 : this.#failures + 1;
    if (openAt !== undefined && line.isSocket) this.#unopened = 0;
    else if (openAt === undefined && !isAnswer(failure)) this.#unopened = line.isSocket ? this.#unopened + 1 : 0;
    const left: RunFeed[] = [];
    for (const feed of carried) {
      if (feed.line !== line) continue;
      feed.line = replaced.find((other) => this.#lines.get(other)?.has(feed));
      if (feed.line !== undefined) continue;
      feed.heard(false);
      left.push(feed);
    }
    const isAgain = this.#refuse(left, failure);
    if (this.#feeds.size > 0) this.#gather(isAgain ? GATHER_MS : backoffMs(this.#failures));
  }

  /** Fails what cannot be watched. @returns whether the rest is to be asked for at once */
  #refuse(left: readonly RunFeed[], failure: unknown): boolean {
    if (failure instanceof AdmissionError || (failure instanceof ClientError && failure.status === 401)) {
      this.#unadmitted += 1;
      if (this.#unadmitted < TRIES_OF_TICKET) return false;
      for (const feed of left) feed.fail(failure instanceof AdmissionError ? failure.cause : failure);
    } else if (!isPassing(failure)) {
      if (left.length <= 1 || (failure as ClientError).status === 403) for (const feed of left) feed.fail(failure);
      else {
        // One of them is the reason: it is found by halves.
        const lots = [{}, {}];
        for (const [i, feed] of left.entries()) feed.lot = lots[i < left.length / 2 ? 0 : 1];
        return true;
      }
    }
    return false;
  }
}

/** Whether somebody has answered, who would answer another kind of connection the same. */
function isAnswer(failure: unknown): boolean {
  return failure instanceof ClientError || failure instanceof AdmissionError;
}
