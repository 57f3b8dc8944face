import { isAborted } from "../aborted.ts";
import { InvalidInputError, NotFoundError, SlowWatcherError, UnavailableError } from "../errors.ts";
import { logger } from "../log.ts";
import { pauseMs } from "../retry.ts";
import type { FirehoseStore, RunEnd, RunInfo } from "../store/firehose-store.ts";
import type { Store } from "../store.ts";
import type { RunSummary, RunView, StreamEvent, StreamMessage } from "../views.ts";
import { eventOf, Feed, type FeedFilter, isWanted, type Mark, pause, storedAt, Told } from "./feed.ts";
import type { Hub } from "./hub.ts";
import { changedSince, LOOKED_AT } from "./look.ts";
import { Position } from "./position.ts";

const log = logger("firehose");

const PAGE = 200;
/** What is stored is looked at after this even if nothing is heard yet. */
const LISTEN_MS = 1_000;
const IDLE_MS = 60_000;
const BACKOFF_FROM_MS = 100;
const BACKOFF_TO_MS = 2_000;
/** Events of more runs than this that came in one second, or while nothing could be heard, end a watcher. */
const TOLD_APART = 100_000;

/** What a watcher of many runs needs of a connection. */
export interface FirehoseParts {
  store: Store;
  firehose: FirehoseStore;
  hub: Hub;
  /** What a reset of a run shows. @throws NotFoundError */
  view(run: string, tenant: string): Promise<RunView>;
  /** Live runs, and whether there are more. */
  liveRuns(filter: FeedFilter): Promise<{ runs: RunSummary[]; more: boolean }>;
}

export interface WatchAllOptions extends FeedFilter {
  after?: string | undefined;
  snapshot?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** @see Millrace.watchAll */
export async function* watchAll(parts: FirehoseParts, options: WatchAllOptions): AsyncGenerator<StreamMessage> {
  const { after, signal } = options;
  const from = after === undefined ? undefined : Position.parse(after);
  if (after !== undefined && from === undefined)
    throw new InvalidInputError("The cursor is not one.", [
      { path: ["after"], message: "Expected a cursor of watchAll" },
    ]);
  const feed = new Feed(options);
  const { heard, leave } = parts.hub.join(feed);
  try {
    let late = false;
    await pause(LISTEN_MS, signal, (wake) => {
      heard.then(
        () => (late ? feed.missed() : wake()),
        (error) => log.debug("the runs are not heard yet: {error}", { error }),
      );
    });
    late = true;
    const watcher = new Watcher(parts, options, feed, from);
    for (let failures = 0; !isAborted(signal); ) {
      try {
        for await (const message of watcher.next()) {
          failures = 0;
          yield message;
          if (isAborted(signal)) return;
        }
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        // What was told is known, so it looks for the rest.
        feed.missed();
        failures += 1;
        log.debug("what was missed could not be read, and is tried again: {error}", { error });
        await pause(pauseMs(failures, BACKOFF_FROM_MS, BACKOFF_TO_MS), signal);
      }
    }
  } finally {
    leave();
  }
}

class Watcher {
  readonly #parts: FirehoseParts;
  readonly #options: WatchAllOptions;
  readonly #feed: Feed;
  #position: Position | undefined;
  /** The last cursor that it told. */
  #cursor: string | undefined;
  /** What is heard of a run that it was not told of need not be what follows: more may be missing, or it is of before. */
  #isDoubtful = false;
  /** When it last looked at what is stored. */
  #lookedAt = 0;

  constructor(parts: FirehoseParts, options: WatchAllOptions, feed: Feed, from: Position | undefined) {
    this.#parts = parts;
    this.#options = options;
    this.#feed = feed;
    this.#position = from;
    this.#cursor = options.after;
    if (from !== undefined) feed.missed();
  }

  /** The next messages, if any. Whatever fails may be tried again. @throws UnavailableError, SlowWatcherError */
  async *next(): AsyncGenerator<StreamMessage> {
    if (this.#position === undefined) yield* this.#begin(this.#options.snapshot === true);
    const position = this.#position!;
    if (this.#feed.isFull || position.size > TOLD_APART) throw new SlowWatcherError(this.#cursor!);
    const item = this.#feed.take();
    if (item === "look") yield* this.#look(position);
    else if (item instanceof Told) yield* this.#told(position, item);
    else if (item !== undefined) yield* this.#mark(position, item);
    else await this.#feed.wait(IDLE_MS, this.#options.signal);
  }

  /** From now on, or from all live runs as they are now. */
  async *#begin(withRuns: boolean): AsyncGenerator<StreamMessage> {
    const position = new Position((await this.#parts.firehose.time()) - 1);
    // What is under way to be heard may be from before.
    this.#isDoubtful = true;
    this.#lookedAt = position.time + 1;
    if (withRuns) {
      const { runs, more } = await this.#parts.liveRuns(this.#options);
      this.#lookedAt = await this.#parts.firehose.time();
      for (const { id, seq } of runs) position.show(id, seq, this.#lookedAt);
      this.#position = position;
      yield { type: "reset", runs, more };
    }
    this.#position = position;
    // What is told in a reset is told again rather than named by a cursor that would be too long.
    const cursor = new Position(position.time).encode()!;
    this.#cursor = cursor;
    yield { type: "cursor", cursor };
  }

  /** Tells what is stored and was not told. */
  async *#look(position: Position): AsyncGenerator<StreamMessage> {
    const { store, firehose } = this.#parts;
    const { tenant } = this.#options;
    this.#isDoubtful = true;
    const isAhead = position.time > (await firehose.time());
    if (isAhead || (await firehose.size(tenant, position.time)) > LOOKED_AT) return yield* this.#beginAnew();
    for await (const changed of changedSince(store, firehose, tenant, position.time)) {
      if (changed === undefined || changed.gone.some((end) => this.#missed(position, end)))
        return yield* this.#beginAnew();
      for (const info of changed.found) if (isWanted(this.#options, info)) yield* this.#stored(position, info);
    }
    this.#lookedAt = await firehose.time();
  }

  async *#beginAnew(): AsyncGenerator<StreamMessage> {
    this.#position = undefined;
    yield* this.#begin(true);
  }

  /** A run is gone, and it was not told of its end. Which tags it had nobody knows. */
  #missed(position: Position, { run, workflow, at }: RunEnd): boolean {
    const { workflows } = this.#options;
    if (workflows !== undefined && !workflows.includes(workflow)) return false;
    const tag = position.told(run)?.tag;
    return tag === undefined || tag < at;
  }

  async *#mark(position: Position, { time }: Mark): AsyncGenerator<StreamMessage> {
    // What came while it looked may stand behind a mark of before, and tell only the end of what it was not told of.
    if (time <= this.#lookedAt) return;
    // Something of that very time may have come after it.
    if (time - 1 <= position.time) return;
    this.#isDoubtful = false;
    this.#position = position.upTo(time - 1);
    const cursor = this.#position.encode();
    if (cursor === undefined) return;
    this.#cursor = cursor;
    yield { type: "cursor", cursor };
  }

  async *#told(position: Position, { info, first, last, events }: Told): AsyncGenerator<StreamMessage> {
    const { seq: known, tag } = position.told(info.run) ?? {};
    if (known !== undefined && last <= known) {
      const latest = events.at(-1);
      // Numbers that were told, and what was stored later: the run was begun anew, or its log lost its tail.
      if (tag !== undefined && latest !== undefined && storedAt(latest) > tag) yield* this.#reset(position, info);
      return;
    }
    const follows = known === undefined ? first === 1 || !this.#isDoubtful : first <= known + 1;
    if (events.length === 0 || !follows) return yield* this.#stored(position, info);
    for (const event of events) if (event.seq > (known ?? 0)) yield this.#tell(position, event as StreamEvent);
  }

  /** Tells what a run's log has that was not told. */
  async *#stored(position: Position, info: RunInfo): AsyncGenerator<StreamMessage> {
    const { store, firehose } = this.#parts;
    let { seq: known, tag } = position.told(info.run) ?? {};
    if (known === undefined) {
      const page = await firehose.since(info.run, position.time);
      if (!page.found) return;
      if (page.stale) return yield* this.#reset(position, info);
      for (const [i, line] of page.lines.entries()) yield this.#tell(position, eventOf(info, page.first + i, line));
      ({ seq: known, tag } = position.told(info.run) ?? {});
      if (known === undefined || known >= page.last) return;
    }
    for (;;) {
      const page = await store.readLog(info.run, known, tag, PAGE);
      if (!page.found) return;
      if (page.stale) return yield* this.#reset(position, info);
      for (const [i, line] of page.lines.entries()) {
        const event = eventOf(info, known + 1 + i, line);
        tag = storedAt(event);
        yield this.#tell(position, event);
      }
      known += page.lines.length;
      if (known >= page.last) return;
    }
  }

  /** The log of one run does not reach back. */
  async *#reset(position: Position, { run, tenant, workflow }: RunInfo): AsyncGenerator<StreamMessage> {
    try {
      const snapshot = await this.#parts.view(run, tenant);
      position.show(run, snapshot.seq, await this.#parts.firehose.time());
      yield { type: "reset", run, workflow, seq: snapshot.seq, snapshot };
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  #tell(position: Position, event: StreamEvent): StreamEvent {
    position.tell(event.run, event.seq, storedAt(event));
    return event;
  }
}
