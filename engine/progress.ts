import { InvalidInputError, NotFoundError, UnavailableError } from "./errors.ts";
import { decodeEvent, isTerminal, parseCursor, type RunEvent } from "./events.ts";
import { logger } from "./log.ts";
import type { Subscriber } from "./redis/subscriber.ts";
import type { Store } from "./store.ts";
import type { Reset, RunView, WatchMessage } from "./views.ts";

const log = logger("progress");

const PAGE = 200;
/** The log is read this often even if nothing was heard: pub/sub drops without a word. */
const LOOK_EVERY_MS = 5_000;
/** The log is read after this even if the channel is not heard yet. */
const LISTEN_MS = 1_000;
/** What was heard and not yet handed on is kept up to this many characters; past it the log is read instead. */
const HEARD_LIMIT = 1_048_576;
const BACKOFF_FROM_MS = 100;
const BACKOFF_TO_MS = 2_000;

/** A nudge: numbers up to `last` were stored; their lines from `first` on, if they came along. One for all who hear it. */
class Nudge {
  readonly first: number;
  readonly last: number;
  readonly #run: string;
  readonly #lines: string[];
  #events: RunEvent[] | undefined;

  constructor(run: string, text: string) {
    const [head, ...lines] = text.split("\n");
    this.#run = run;
    this.last = Number(head);
    this.first = this.last - lines.length + 1;
    this.#lines = lines;
  }

  get hasEvents(): boolean {
    return this.#lines.length > 0;
  }

  /** The events, decoded once for all who are told of them: they are frozen. */
  get events(): readonly RunEvent[] {
    this.#events ??= this.#lines.map((line, i) => Object.freeze(decodeEvent(this.#run, this.first + i, line)));
    return this.#events;
  }
}

/** All who hear a channel are told one after the other. */
let lastHeard: { run: string; text: string; nudge: Nudge } | undefined;

function nudgeOf(run: string, text: string): Nudge {
  if (lastHeard?.text !== text || lastHeard.run !== run) lastHeard = { run, text, nudge: new Nudge(run, text) };
  return lastHeard.nudge;
}

export interface WatchOptions {
  after?: string;
  signal?: AbortSignal;
  /** What a reset shows. @throws NotFoundError */
  snapshot(): Promise<RunView>;
}

/**
 * The events of a run: what is stored, then what is heard, merged by their numbers. It listens before it reads, so
 * nothing falls between; what it hears is only believed where the numbers meet, else the log is read again.
 */
export async function* watch(
  store: Store,
  subscriber: () => Subscriber,
  { run, tenant }: { run: string; tenant: string },
  { after, signal, snapshot }: WatchOptions,
): AsyncGenerator<WatchMessage> {
  const cursor = parseCursor(after ?? "0");
  if (cursor === undefined)
    throw new InvalidInputError("The cursor is not one.", [{ path: ["after"], message: "Expected SEQ or a cursor" }]);
  let seq = cursor.seq;
  let tag = cursor.at_ms;
  const inbox = new Inbox(run, signal);
  const { heard, leave } = subscriber().listen(store.partitionKeys(run).runChannel(run), inbox);
  // If that comes late, what was read before it is not to be trusted to be all.
  heard.then(
    () => inbox.missed(),
    (error) => log.debug("the channel of {run} is not heard yet: {error}", { run, error }),
  );
  let failures = 0;
  try {
    await inbox.first(LISTEN_MS);
    while (!isAborted(signal)) {
      const events: RunEvent[] = [];
      let ended = false;
      const nudge = inbox.take(seq);
      if (nudge === "read") {
        try {
          const page = await store.readLog(run, seq, tag, PAGE);
          if (!page.found || page.tenant !== tenant) throw new NotFoundError("run", run);
          if (page.stale) {
            const shown = await snapshot();
            seq = shown.seq;
            tag = undefined;
            inbox.readAgain();
            yield { type: "reset", run, seq, snapshot: shown } satisfies Reset;
            if (isEnded(shown.status)) return;
            continue;
          }
          for (const [i, line] of page.lines.entries()) events.push(decodeEvent(run, seq + 1 + i, line));
          const caughtUp = seq + page.lines.length >= page.last;
          ended = caughtUp && isEnded(page.status);
          if (!caughtUp) inbox.readAgain();
          failures = 0;
        } catch (error) {
          if (!(error instanceof UnavailableError)) throw error;
          failures += 1;
          inbox.readAgain();
          log.debug("the log of {run} could not be read, and is tried again: {error}", { run, error });
          await inbox.pause(Math.min(BACKOFF_TO_MS, BACKOFF_FROM_MS * 2 ** Math.min(failures, 10)));
          continue;
        }
      } else if (nudge !== undefined) {
        for (const event of nudge.events) if (event.seq > seq) events.push(event);
      }
      for (const event of events) {
        seq = event.seq;
        tag = parseCursor(event.cursor)?.at_ms;
        yield event;
        if (isAborted(signal)) return;
      }
      const last = events[events.length - 1];
      if (ended || (nudge !== "read" && last !== undefined && isTerminal(last.type))) return;
      if (nudge === undefined) await inbox.next(LOOK_EVERY_MS);
    }
  } finally {
    leave();
  }
}

/** A function, since the compiler believes that what it has once seen to be false stays so. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function isEnded(status: string): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** What was heard of a run and not yet handed on. */
class Inbox {
  #nudges: { nudge: Nudge; size: number }[] = [];
  #held = 0;
  /** What is heard cannot be trusted to go on from where the watcher is. */
  #mustRead = true;
  #wake: (() => void) | undefined;
  readonly #run: string;
  readonly #signal: AbortSignal | undefined;

  constructor(run: string, signal: AbortSignal | undefined) {
    this.#run = run;
    this.#signal = signal;
  }

  message(text: string): void {
    const nudge = nudgeOf(this.#run, text);
    if (!Number.isInteger(nudge.last)) return;
    if (this.#held + text.length > HEARD_LIMIT) this.missed();
    else {
      this.#nudges.push({ nudge, size: text.length });
      this.#held += text.length;
    }
    this.#wake?.();
  }

  missed(): void {
    this.#nudges = [];
    this.#held = 0;
    this.#mustRead = true;
    this.#wake?.();
  }

  readAgain(): void {
    this.#mustRead = true;
  }

  /** The next nudge that goes on after number `seq`; `read` if only the log can tell; undefined if there is nothing. */
  take(seq: number): Nudge | "read" | undefined {
    if (this.#mustRead) {
      this.#mustRead = false;
      return "read";
    }
    for (let held = this.#nudges.shift(); held !== undefined; held = this.#nudges.shift()) {
      const { nudge, size } = held;
      this.#held -= size;
      if (nudge.last <= seq) continue;
      if (nudge.first <= seq + 1 && nudge.hasEvents) return nudge;
      return "read";
    }
    this.#held = 0;
    return undefined;
  }

  /** Waits for something to be heard; after `ms` the log is to be read. */
  async next(ms: number): Promise<void> {
    if (this.#nudges.length > 0 || this.#mustRead) return;
    if (!(await this.#woken(ms))) this.#mustRead = true;
  }

  /** Waits until the channel is heard, up to `ms`. */
  async first(ms: number): Promise<void> {
    await this.#woken(ms);
  }

  async pause(ms: number): Promise<void> {
    await this.#woken(ms, false);
  }

  /** True if woken, false after `ms`. */
  #woken(ms: number, byMessages = true): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (woken: boolean) => {
        clearTimeout(timer);
        this.#wake = undefined;
        this.#signal?.removeEventListener("abort", wake);
        resolve(woken);
      };
      const wake = () => done(true);
      const timer = setTimeout(() => done(false), ms);
      if (byMessages) this.#wake = wake;
      this.#signal?.addEventListener("abort", wake);
      if (this.#signal?.aborted === true) wake();
    });
  }
}
