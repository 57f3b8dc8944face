import { decodeEvent, parseCursor, type RunEvent } from "../events.ts";
import { Nudge } from "../nudge.ts";
import type { RunInfo } from "../store/firehose-store.ts";

/** What was heard and not yet handed on is kept up to this many characters. */
const HELD_LIMIT = 4_194_304;

/** Which runs a watcher is told of: those of one of the workflows, with one of the tags. */
export interface FeedFilter {
  tenant: string;
  workflows?: readonly string[] | undefined;
  tags?: readonly string[] | undefined;
}

export function isWanted({ tenant, workflows, tags }: FeedFilter, info: RunInfo): boolean {
  if (info.tenant !== tenant) return false;
  if (workflows !== undefined && !workflows.includes(info.workflow)) return false;
  return tags === undefined || tags.some((tag) => info.tags.includes(tag));
}

/** What was published of a run, to be told to those who watch many. One for all watchers. */
export class Told extends Nudge {
  readonly info: RunInfo;

  constructor(info: RunInfo, text: string) {
    super(text, (seq, line) => eventOf(info, seq, line));
    this.info = info;
  }
}

/** When an event was stored, in ms. */
export function storedAt({ cursor }: RunEvent): number {
  return parseCursor(cursor)!.at_ms!;
}

/** An event of a run among those of many says of which workflow it is. Shared by all who are told of it, so not to be changed. */
export function eventOf({ run, workflow }: RunInfo, seq: number, line: string): RunEvent & { workflow: string } {
  const { seq: number, cursor, run: id, ...rest } = decodeEvent(run, seq, line);
  return Object.freeze({ seq: number, cursor, run: id, workflow, ...rest });
}

/** All that was stored before a time was heard. */
export interface Mark {
  /** In ms of the time of runs. */
  time: number;
}

/** What a watcher of many runs is told, until it takes it. */
export class Feed {
  readonly filter: FeedFilter;
  #items: (Told | Mark)[] = [];
  #held = 0;
  #mustLook = false;
  #isFull = false;
  #wake: (() => void) | undefined;

  constructor(filter: FeedFilter) {
    this.filter = filter;
  }

  /** It has more than it may keep: it takes nothing more. */
  get isFull(): boolean {
    return this.#isFull;
  }

  put(item: Told | Mark): void {
    if (this.#isFull) return;
    this.#held += sizeOf(item);
    if (this.#held > HELD_LIMIT) {
      this.#isFull = true;
      this.#items = [];
    } else this.#items.push(item);
    this.#wake?.();
  }

  /** Something may not have been heard. */
  missed(): void {
    this.#items = [];
    this.#held = 0;
    this.#mustLook = true;
    this.#wake?.();
  }

  /** The next one; `look` if only what is stored can tell; undefined if there is nothing. */
  take(): Told | Mark | "look" | undefined {
    if (this.#mustLook) {
      this.#mustLook = false;
      return "look";
    }
    const item = this.#items.shift();
    if (item !== undefined) this.#held -= sizeOf(item);
    return item;
  }

  /** Waits until there is something to take, up to `ms`, or until `signal` is aborted. */
  wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#items.length > 0 || this.#mustLook || this.#isFull || signal?.aborted) return Promise.resolve();
    return pause(ms, signal, (wake) => {
      this.#wake = wake;
    });
  }
}

/** Waits for `ms`, until `signal` is aborted, or until what `onWake` is given is called. */
export function pause(ms: number, signal: AbortSignal | undefined, onWake?: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    onWake?.(done);
    if (signal?.aborted) done();
  });
}

function sizeOf(item: Told | Mark): number {
  return item instanceof Told ? item.size : 1;
}
