import { partitionOf } from "../ids.ts";

/** A cursor names up to so many runs. */
const NAMED = 200;
/** The longest that one can be. */
const CURSOR_LENGTH = 16_000;

/** How far a run's events were told. */
export interface ToldTo {
  seq: number;
  /** When the last of them was stored, in ms: it tells the run's log from one that was begun anew. Undefined if a snapshot told it. */
  tag?: number | undefined;
}

/**
 * Where a watcher of many runs is: it was told of all that was stored up to a time, and of these runs of what came later, up to
 * a number. All others of which it was not told everything are live, or have ended later than that.
 */
export class Position {
  /** In ms of the time of runs. */
  readonly time: number;
  /** `at`: until when it is to be remembered. */
  readonly #told: Map<string, ToldTo & { at: number }>;

  constructor(time: number, told: Map<string, ToldTo & { at: number }> = new Map()) {
    this.time = time;
    this.#told = told;
  }

  /** Up to where the run's events were told; undefined if only those up to `time` were. */
  told(run: string): ToldTo | undefined {
    return this.#told.get(run);
  }

  /** How many runs are told apart. */
  get size(): number {
    return this.#told.size;
  }

  /** An event was told, which was stored then. */
  tell(run: string, seq: number, tag: number): void {
    this.#told.set(run, { seq, tag, at: tag });
  }

  /** A snapshot was told, of that time or later. */
  show(run: string, seq: number, at: number): void {
    this.#told.set(run, { seq, at });
  }

  /** The same place by a later time, up to which all was told. */
  upTo(time: number): Position {
    return new Position(time, new Map([...this.#told].filter(([, { at }]) => at > time)));
  }

  /** As text that `parse` reads; undefined if too much happened since `time` for that. */
  encode(): string | undefined {
    if (this.#told.size > NAMED) return undefined;
    const told = [...this.#told].map(([run, { seq, tag }]) =>
      [run, seq.toString(36), ...(tag === undefined ? [] : [tag.toString(36)])].join("~"),
    );
    return `${this.time.toString(36)}.${told.join("!")}`;
  }

  /** Reads what `encode` wrote; undefined if it is not that. */
  static parse(cursor: string): Position | undefined {
    const words = cursor.length > CURSOR_LENGTH ? null : /^([0-9a-z]{1,9})\.([0-9a-z~!-]*)$/.exec(cursor);
    if (words === null) return undefined;
    const time = Number.parseInt(words[1]!, 36);
    const told = new Map<string, ToldTo & { at: number }>();
    for (const each of words[2] === "" ? [] : words[2]!.split("!")) {
      const [, run, seq, tag] = /^(.+?)~([0-9a-z]{1,10})(?:~([0-9a-z]{1,9}))?$/.exec(each) ?? [];
      if (run === undefined || partitionOf(run) === undefined || told.size === NAMED) return undefined;
      const at = tag === undefined ? time : Number.parseInt(tag, 36);
      told.set(run, { seq: Number.parseInt(seq!, 36), at, ...(tag === undefined ? {} : { tag: at }) });
    }
    return new Position(time, told);
  }
}

/** Whether it may be a cursor of `watchAll`. */
export function isStreamCursor(text: string): boolean {
  return Position.parse(text) !== undefined;
}
