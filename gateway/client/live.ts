import { ClientError } from "./errors.ts";
import { type AnyFeed, ManyFeed, type OfMany, RunFeed, type Sink } from "./feeds.ts";
import { isPassing } from "./http.ts";
import { AdmissionError, type Line, nameOf } from "./lines.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Message, Topic } from "./types.ts";

/** What is begun in the same moment shares a connection. */
const GATHER_MS = 5;
/** After so many sockets in a row that did not open, event streams are tried. */
const TRIES_OF_SOCKET = 2;
/** So often in a row there may be no ticket, or one that does not work. */
const TRIES_OF_TICKET = 5;
/** A connection that lasted so long was well, though it may have carried nothing. */
const WELL_MS = 1_000;

/** Shares as few connections as it can between all that is watched, and makes new ones when they break. */
export class Live {
  readonly #newLine: (bySocket: boolean, first: Topic) => Line;
  readonly #feeds = new Map<string, AnyFeed>();
  readonly #lines = new Map<Line, Set<AnyFeed>>();
  readonly #open = new Set<Line>();
  /** Connections in a row that were no good. */
  #failures = 0;
  /** Sockets in a row that did not open, though something may get through. */
  #unopened = 0;
  #unadmitted = 0;
  #gathering = false;
  #closed = false;

  constructor(newLine: (bySocket: boolean, first: Topic) => Line) {
    this.#newLine = newLine;
  }

  /** @param after a number or cursor @returns ends the watch, of which nothing is told then */
  watch(run: string, after: string, sink: Sink<Message>): () => void {
    return this.#join({ run }, RunFeed, sink, (feed) => feed.add(after, sink));
  }

  /** Watches many runs, from when it says `reset` first. @returns ends the watch, of which nothing is told then */
  watchMany(topic: Exclude<Topic, { run: string }>, sink: Sink<OfMany>): () => void {
    return this.#join(topic, ManyFeed, sink, (feed) => feed.add(sink));
  }

  #join<F extends RunFeed | ManyFeed>(
    topic: Topic,
    Kind: new (topic: Topic, onEmpty: (feed: AnyFeed) => void) => F,
    sink: Sink<never>,
    add: (feed: F) => () => void,
  ): () => void {
    if (this.#closed) {
      queueMicrotask(() => sink.end());
      return () => {};
    }
    const name = nameOf(topic)!;
    const feed = (this.#feeds.get(name) as F | undefined) ?? new Kind(topic, (empty) => this.#forget(empty));
    this.#feeds.set(name, feed);
    const leave = add(feed);
    if (feed.line === undefined) this.#gather(GATHER_MS);
    else if (this.#open.has(feed.line)) sink.heard(true);
    return leave;
  }

  /** Ends every watch, for good. */
  close(): void {
    this.#closed = true;
    for (const feed of [...this.#feeds.values()]) feed.end();
  }

  #forget(feed: AnyFeed): void {
    this.#feeds.delete(nameOf(feed.topic)!);
    for (const [line, carried] of this.#lines) {
      if (!carried.delete(feed)) continue;
      if (carried.size === 0) line.close();
      else line.leave(feed.topic);
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

  /** Gives every topic that has no connection one. */
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
      let together = waiting.filter((feed) => feed.lot === lot);
      while (together.length > 0) {
        const line = this.#newLine(this.#unopened < TRIES_OF_SOCKET, together[0]!.topic);
        const carried = new Set(together.filter(({ topic }) => line.fits(topic)).slice(0, line.room));
        together = together.filter((feed) => !carried.has(feed));
        const replaced = lot === undefined ? this.#replacedBy(line, carried) : [];
        for (const feed of carried) feed.line = line;
        this.#lines.set(line, carried);
        void this.#carry(line, carried, replaced);
      }
    }
  }

  /** Connections that take no more, and what of which this one can carry as well once it is open. */
  #replacedBy(line: Line, carried: Set<AnyFeed>): Line[] {
    const replaced: Line[] = [];
    for (const [other, theirs] of this.#lines) {
      if (other.takesMore || !this.#open.has(other) || carried.size + theirs.size > line.room) continue;
      if ([...theirs].some((feed) => feed.line !== other || !line.fits(feed.topic))) continue;
      for (const feed of theirs) carried.add(feed);
      replaced.push(other);
    }
    return replaced;
  }

  async #carry(line: Line, carried: Set<AnyFeed>, replaced: readonly Line[]): Promise<void> {
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
    const left: AnyFeed[] = [];
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
  #refuse(left: readonly AnyFeed[], failure: unknown): boolean {
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
