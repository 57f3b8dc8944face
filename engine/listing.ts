import { InvalidInputError } from "./errors.ts";
import type { Records } from "./records.ts";
import type { Page, PageOptions } from "./views.ts";

/** So many members are looked at for one page at the most; a filter that is rarely met gives short pages. */
const SCAN_LIMIT = 2_000;
const CHUNK = 100;
/** As many are looked at as a page still wants; where few of them are what it wants, four times as many, up to this. */
const MOST_AT_ONCE = 400;

type Position = { ms: number; id: string };

/**
 * A page of what several indexes hold together, newest first.
 *
 * @param read turns members into what is listed, in order; those that the filter leaves out are undefined
 * @throws InvalidInputError for a bad limit or cursor
 */
export async function pageOf<T>(
  records: Records,
  indexes: readonly string[],
  { limit = 20, cursor }: PageOptions,
  read: (ids: string[]) => Promise<(T | undefined)[]>,
): Promise<Page<T>> {
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= 100)) throw invalid("limit", "Expected 1 to 100");
  const from = cursor === undefined ? { ms: Number.MAX_SAFE_INTEGER, id: "~" } : parsePosition(cursor);
  const sources = indexes.map((index) => new Source(records, index, from));
  const data: T[] = [];
  let last: Position | undefined;
  let size = Math.max(limit, 10);
  for (let scanned = 0; scanned < SCAN_LIMIT; ) {
    const chunk = await merge(sources, Math.min(size, SCAN_LIMIT - scanned));
    if (chunk.length === 0) return { data };
    scanned += chunk.length;
    const found = await read(chunk.map((position) => position.id));
    const wanted = found.filter((item) => item !== undefined).length;
    size = 4 * wanted < chunk.length ? Math.min(MOST_AT_ONCE, 4 * size) : Math.max(limit - data.length - wanted, 10);
    for (const [i, item] of found.entries()) {
      last = chunk[i];
      if (item === undefined) continue;
      data.push(item);
      if (data.length === limit) return (await hasMore(sources, chunk, i)) ? { data, next: encode(last!) } : { data };
    }
  }
  return { data, next: encode(last!) };
}

async function hasMore(sources: Source[], chunk: Position[], used: number): Promise<boolean> {
  if (used < chunk.length - 1) return true;
  for (const source of sources) if ((await source.peek()) !== undefined) return true;
  return false;
}

async function merge(sources: Source[], count: number): Promise<Position[]> {
  const merged: Position[] = [];
  while (merged.length < count) {
    let newest: { source: Source; position: Position } | undefined;
    for (const source of sources) {
      const position = await source.peek();
      if (position !== undefined && (newest === undefined || isNewer(position, newest.position)))
        newest = { source, position };
    }
    if (newest === undefined) break;
    newest.source.advance();
    // A member can be seen in two indexes while it moves from one to the other.
    if (merged[merged.length - 1]?.id !== newest.position.id) merged.push(newest.position);
  }
  return merged;
}

/**
 * One index from a position on, a chunk at a time. Each is read from where the last one ended, so that what comes to the index
 * or leaves it meanwhile moves nothing that is yet to be read.
 */
class Source {
  readonly #records: Records;
  readonly #index: string;
  #from: Position;
  #chunk: Position[] = [];
  #offset = 0;
  #done = false;

  constructor(records: Records, index: string, from: Position) {
    this.#records = records;
    this.#index = index;
    this.#from = from;
  }

  async peek(): Promise<Position | undefined> {
    while (this.#chunk.length === 0 && !this.#done) {
      const from = this.#from;
      const members = await this.#records.newest(this.#index, from.ms, this.#offset, CHUNK);
      this.#done = members.length < CHUNK;
      this.#chunk = members
        .map(([id, ms]) => ({ id, ms }))
        .filter((position) => isNewer(from, position))
        .reverse();
      const [last] = this.#chunk;
      // An offset only where there are more of one millisecond than a chunk has.
      this.#offset = last === undefined || last.ms === from.ms ? this.#offset + members.length : 0;
      this.#from = last ?? from;
    }
    return this.#chunk[this.#chunk.length - 1];
  }

  advance(): void {
    this.#chunk.pop();
  }
}

/** The order of a sorted set read backwards: by time, then by id. */
function isNewer(a: Position, b: Position): boolean {
  return a.ms > b.ms || (a.ms === b.ms && a.id > b.id);
}

/** The cursor of what is older than a time. */
export function cursorBefore(ms: number): string {
  return encode({ ms: ms - 1, id: "z" });
}

/** The time that a cursor stands at, in ms. */
export function timeOfCursor(cursor: string): number {
  return parsePosition(cursor).ms;
}

function encode({ ms, id }: Position): string {
  return `${ms.toString(36)}_${id}`;
}

function parsePosition(cursor: string): Position {
  const match = /^([0-9a-z]{1,11})_([A-Za-z0-9_-]{1,64})$/.exec(cursor);
  if (match === null) throw invalid("cursor", "Expected the next of an earlier page");
  return { ms: Number.parseInt(match[1]!, 36), id: match[2]! };
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
}
