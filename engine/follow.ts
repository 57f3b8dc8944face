import { InvalidInputError, NotFoundError, UnavailableError } from "./errors.ts";
import { decodeEvent, isTerminal, parseCursor, type RunEvent } from "./events.ts";
import { logger } from "./log.ts";
import { type Nudge, nudgeOf } from "./nudge.ts";
import type { Subscriber } from "./redis/subscriber.ts";
import { pauseMs } from "./retry.ts";
import type { Store } from "./store.ts";
import type { RunView, WatchMessage } from "./views.ts";

const log = logger("progress");

const PAGE = 200;
/**
 * The log is read when nothing was heard for so many of these, from the fewest on, twice as many each time: pub/sub drops without a
 * word.
 */
const LOOK_MS = 2_500;
const FEWEST_LOOKS = 2;
const MOST_LOOKS = 12;
/** The log is read after this even if the channel is not heard yet. */
const LISTEN_MS = 1_000;
/** What was heard and cannot be handed on yet is kept up to this many characters; past it the log is read instead. */
const HEARD_LIMIT = 65_536;
const BACKOFF_FROM_MS = 100;
const BACKOFF_TO_MS = 2_000;

/** Given each message in its turn. @returns false if it takes no more until it asks for it */
export type Take = (message: WatchMessage) => boolean;

/** A run that is being followed. */
export interface Following {
  /** Resolves after the run's last event, and once it is stopped. Rejects as `watch` throws, and with what `take` threw. */
  readonly ended: Promise<void>;
  /** Goes on after `take` returned false. */
  more(): void;
  /** Nothing is given to `take` any more. */
  stop(): void;
}

export interface FollowOptions {
  after?: string | undefined;
  take: Take;
  /** What a reset shows. @throws NotFoundError */
  snapshot(): Promise<RunView>;
}

/**
 * The events of a run, to `take`: what is stored, then what is heard, merged by their numbers. It listens before it reads, so
 * nothing falls between; what it hears is only believed where the numbers meet, else the log is read again. What is not
 * taken waits in the log.
 *
 * @throws InvalidInputError for a bad `after`
 */
export function follow(
  store: Store,
  subscriber: Subscriber,
  run: { run: string; tenant: string },
  options: FollowOptions,
): Following {
  return new Follower(store, subscriber, run, options);
}

class Follower implements Following {
  readonly ended: Promise<void>;
  readonly #store: Store;
  readonly #run: string;
  readonly #tenant: string;
  readonly #take: Take;
  readonly #snapshot: () => Promise<RunView>;
  readonly #end: PromiseWithResolvers<void>;
  readonly #leave: () => void;
  readonly #looking: ReturnType<typeof setInterval>;
  /** The only one that is under way: until the channel is heard, or until Redis is asked again. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #seq: number;
  /** Of which time the event of that number is, by its cursor or as that. */
  #tag: number | string | undefined;
  #nudges: Nudge[] = [];
  #heard = 0;
  /** What is heard cannot be trusted to go on from here. Nothing can before the log was read: only that says whose the run is. */
  #mustRead = true;
  #isReading = false;
  #isHeld = false;
  #isOver = false;
  #failures = 0;
  /** For how many looks nothing was heard, and for how many it is let be. */
  #quiet = 0;
  #patience = FEWEST_LOOKS;

  constructor(
    store: Store,
    subscriber: Subscriber,
    { run, tenant }: { run: string; tenant: string },
    { after, take, snapshot }: FollowOptions,
  ) {
    const cursor = parseCursor(after ?? "0");
    if (cursor === undefined)
      throw new InvalidInputError("The cursor is not one.", [{ path: ["after"], message: "Expected SEQ or a cursor" }]);
    this.#store = store;
    this.#run = run;
    this.#tenant = tenant;
    this.#take = take;
    this.#snapshot = snapshot;
    this.#seq = cursor.seq;
    this.#tag = cursor.at_ms;
    this.#end = Promise.withResolvers();
    this.ended = this.#end.promise;
    // Who waits for it is told; nobody need.
    this.ended.catch(() => {});
    const { heard, leave } = subscriber.listen(store.partitionKeys(run).runChannel(run), this);
    this.#leave = leave;
    // If that comes late, what was read before it is not to be trusted to be all.
    heard.then(
      () => this.missed(),
      (error) => log.debug("the channel of {run} is not heard yet: {error}", { run, error }),
    );
    this.#timer = setTimeout(() => this.missed(), LISTEN_MS);
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  more(): void {
    this.#isHeld = false;
    this.#goOn();
  }

  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearInterval(this.#looking);
    this.#nudges = [];
    this.#leave();
    this.#end.resolve();
  }

  /** What was published. */
  message(text: string): void {
    const nudge = nudgeOf(this.#run, text);
    if (this.#isOver || !Number.isInteger(nudge.last)) return;
    this.#quiet = 0;
    this.#patience = FEWEST_LOOKS;
    // It will be read.
    if (this.#mustRead && !this.#isReading) return;
    this.#heard += nudge.size;
    if (this.#heard > HEARD_LIMIT && this.#nudges.length > 0) this.missed();
    else {
      this.#nudges.push(nudge);
      this.#goOn();
    }
  }

  /** Something may have been published that was not heard. */
  missed(): void {
    this.#nudges = [];
    this.#heard = 0;
    this.#mustRead = true;
    this.#goOn();
  }

  #look(): void {
    this.#quiet += 1;
    if (this.#quiet < this.#patience || this.#isHeld) return;
    this.#quiet = 0;
    this.#patience = Math.min(MOST_LOOKS, 2 * this.#patience);
    this.#mustRead = true;
    this.#goOn();
  }

  #goOn(): void {
    while (!this.#isReading && !this.#isHeld && !this.#isOver) {
      if (this.#mustRead) {
        this.#read().catch((error) => this.#fail(error));
        return;
      }
      const nudge = this.#nudges.shift();
      if (nudge === undefined) {
        this.#heard = 0;
        return;
      }
      if (nudge.last <= this.#seq) continue;
      if (!nudge.goesOnAfter(this.#seq)) this.#mustRead = true;
      else if (this.#give(nudge.events) && isTerminal(nudge.events[nudge.events.length - 1]!.type)) this.stop();
    }
  }

  /** Hands on those that are new. True if all were taken. */
  #give(events: readonly RunEvent[]): boolean {
    try {
      for (let i = 0; i < events.length; i += 1) {
        const event = events[i]!;
        if (event.seq <= this.#seq) continue;
        this.#seq = event.seq;
        this.#tag = event.cursor;
        if (!this.#take(event)) {
          this.#isHeld = true;
          if (i + 1 === events.length) return true;
          this.#mustRead = true;
          return false;
        }
        if (this.#isOver) return false;
      }
    } catch (error) {
      this.#fail(error);
    }
    return !this.#isOver;
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    clearTimeout(this.#timer);
    this.#mustRead = false;
    try {
      await this.#readPage();
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      log.debug("the log of {run} could not be read, and is tried again: {error}", { run: this.#run, error });
      this.#failures += 1;
      this.#mustRead = true;
      await this.#pause(pauseMs(this.#failures, BACKOFF_FROM_MS, BACKOFF_TO_MS));
    }
    this.#isReading = false;
    this.#goOn();
  }

  async #readPage(): Promise<void> {
    const tag = typeof this.#tag === "string" ? parseCursor(this.#tag)?.at_ms : this.#tag;
    const page = await this.#store.readLog(this.#run, this.#seq, tag, PAGE);
    if (this.#isOver) return;
    if (!page.found || page.tenant !== this.#tenant) throw new NotFoundError("run", this.#run);
    if (page.stale) return this.#reset();
    const from = this.#seq + 1;
    const isAll = this.#seq + page.lines.length >= page.last;
    if (!isAll) this.#mustRead = true;
    const all = this.#give(page.lines.map((line, i) => decodeEvent(this.#run, from + i, line)));
    if (all && isAll && isEnded(page.status)) this.stop();
  }

  async #reset(): Promise<void> {
    const shown = await this.#snapshot();
    if (this.#isOver) return;
    this.#seq = shown.seq;
    this.#tag = undefined;
    this.#mustRead = true;
    this.#isHeld = !this.#take({ type: "reset", run: this.#run, seq: shown.seq, snapshot: shown });
    if (isEnded(shown.status)) this.stop();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, ms);
    });
  }

  #fail(error: unknown): void {
    this.#end.reject(error);
    this.stop();
  }
}

function isEnded(status: string): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}
