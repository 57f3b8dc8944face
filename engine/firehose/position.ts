import { partitionOf } from "../ids.ts";

/** A cursor names up to so many runs. */
const NAMED = 200;
/** The longest that one can be. */
const CURSOR_LENGTH = 16_000;

/** Which runs were live at some time: the oldest of them by name, and all others were made at `from` or later. */
export interface Live {
  from: number;
  old: readonly string[];
}

/** How far a run's events were told. */
interface Told {
  seq: number;
  /** When the last of them happened, in ms. */
  at: number;
}

/**
 * Where a watcher of many runs is: it was told of all that happened up to a time, and of these runs of what came later, up to
 * a number. With the runs that were live at that time, this is enough to find all that it was not told of.
 */
export class Position {
  /** In ms of the time of runs. */
  readonly time: number;
  readonly live: Live;
  readonly #told: Map<string, Told>;
  /** Runs that had ended and go on: they may be older than all that were live. */
  readonly #reopened: Map<string, number>;

  constructor(
    time: number,
    live: Live,
    told: Map<string, Told> = new Map(),
    reopened: Map<string, number> = new Map(),
  ) {
    this.time = time;
    this.live = live;
    this.#told = told;
    this.#reopened = reopened;
  }

  /** Up to which number the run's events were told; undefined if only those up to `time` were. */
  told(run: string): number | undefined {
    return this.#told.get(run)?.seq;
  }

  /** How many runs are told apart. */
  get size(): number {
    return this.#told.size;
  }

  /** Every run that may have more to tell and need not be found otherwise. */
  get named(): string[] {
    return [...new Set([...this.live.old, ...this.#told.keys(), ...this.#reopened.keys()])];
  }

  tell(run: string, seq: number, at: number): void {
    this.#told.set(run, { seq, at });
  }

  /** The run had ended, and goes on. */
  reopen(run: string, at: number): void {
    this.#reopened.set(run, at);
  }

  /** The same place by a later time, up to which all was told. */
  upTo(time: number, live: Live): Position {
    const told = new Map([...this.#told].filter(([, { at }]) => at > time));
    // What was live was read a moment before.
    const reopened = new Map([...this.#reopened].filter(([, at]) => at > this.time));
    return new Position(time, live, told, reopened);
  }

  /** As text that `parse` reads; undefined if too much happened since `time` for that. */
  encode(): string | undefined {
    const old = [...new Set([...this.live.old, ...this.#reopened.keys()])];
    if (old.length + this.#told.size > NAMED) return undefined;
    const told = [...this.#told].map(([run, { seq }]) => `${run}~${seq.toString(36)}`);
    return [this.time.toString(36), this.live.from.toString(36), old.join("!"), told.join("!")].join(".");
  }

  /** Reads what `encode` wrote; undefined if it is not that. */
  static parse(cursor: string): Position | undefined {
    const words =
      cursor.length > CURSOR_LENGTH
        ? null
        : /^([0-9a-z]{1,9})\.([0-9a-z]{1,9})\.([0-9a-f!-]*)\.([0-9a-z~!-]*)$/.exec(cursor);
    if (words === null) return undefined;
    const [time, from] = [Number.parseInt(words[1]!, 36), Number.parseInt(words[2]!, 36)];
    const old = listOf(words[3]!);
    const told = listOf(words[4]!).map((each) => /^(.+)~([0-9a-z]{1,10})$/.exec(each));
    const runs = [...old, ...told.map((match) => match?.[1] ?? "")];
    if (runs.length > NAMED || !runs.every((run) => partitionOf(run) !== undefined)) return undefined;
    const seqs = told.map((match): [string, Told] => [match![1]!, { seq: Number.parseInt(match![2]!, 36), at: time }]);
    return new Position(time, { from, old }, new Map(seqs));
  }
}

/** Whether it may be a cursor of `watchAll`. */
export function isStreamCursor(text: string): boolean {
  return Position.parse(text) !== undefined;
}

function listOf(words: string): string[] {
  return words === "" ? [] : words.split("!");
}
