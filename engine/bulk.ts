import type { DeadLetterFilter, DeadLettersApi } from "./dead-letters-api.ts";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import { newId } from "./ids.ts";
import { cursorBefore, timeOfCursor } from "./listing.ts";
import { logger } from "./log.ts";
import { iso } from "./run-record.ts";
import type { OperationRecord, OperationStore } from "./store/operation-store.ts";
import type { Continuations } from "./timers.ts";
import type { OperationView } from "./views.ts";

const log = logger("bulk");

/** So many dead letters are looked for at once, and so many of these acted on at the same time. */
const AT_ONCE = 100;
const IN_PARALLEL = 10;
/** How long the process that starts an operation has for its first part, before a worker takes it up. */
const LEASE_MS = 30_000;
/** How long an operation can be asked for after its end. */
const KEPT_MS = 86_400_000;

type Letters = Pick<DeadLettersApi, "list" | "replay" | "discard">;

/**
 * Replays or discards many dead letters: a walk from the newest of when it was asked for to the oldest, a bounded part at a
 * time, by whichever process has its timer row. A part that is done twice finds nothing left of what the first time did.
 */
export class Bulk {
  readonly #letters: Letters;
  readonly #store: OperationStore;

  constructor(letters: Letters, store: OperationStore) {
    this.#letters = letters;
    this.#store = store;
  }

  async start(
    kind: "replay" | "discard",
    filter: DeadLetterFilter,
    { tenant, limit, id = newId() }: { tenant: string; limit?: number | undefined; id?: string | undefined },
  ): Promise<OperationView> {
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 1))
      throw new InvalidInputError("The limit must be a whole number, 1 or more.", [
        { path: ["limit"], message: "Expected a whole number, 1 or more" },
      ]);
    const until = await this.#store.start({ id, tenant, kind, filter: encodeFilter(filter), limit }, LEASE_MS);
    if (until === undefined) return this.get(id, tenant);
    try {
      await this.#store.settleRow(id, until, await this.#step(id));
    } catch (error) {
      log.warn("operation {id} is left to a worker: {error}", { id, error });
    }
    return this.get(id, tenant);
  }

  async get(id: string, tenant: string): Promise<OperationView> {
    const { record } = await this.#store.read(id);
    if (record?.tenant !== tenant) throw new NotFoundError("operation", id);
    const { kind, matched, done, createdAt, endedAt } = record;
    const view = { id, kind, matched, done, createdAt: iso(createdAt) };
    return endedAt === undefined ? { ...view, status: "running" } : { ...view, status: "done", endedAt: iso(endedAt) };
  }

  readonly goOn: Continuations["bulk"] = ({ operation }) => this.#step(operation);

  /** Does the next part of an operation. @returns in how many ms it goes on; undefined when nothing is left to do */
  async #step(id: string): Promise<number | undefined> {
    const { now, record } = await this.#store.read(id);
    if (record === undefined) return undefined;
    if (record.endedAt !== undefined) {
      const leftMs = record.endedAt + KEPT_MS - now;
      if (leftMs > 0) return leftMs;
      await this.#store.delete(id);
      return undefined;
    }
    const { tenant, cursor, limit } = record;
    const filter = decodeFilter(record.filter);
    const allowed = limit === undefined ? AT_ONCE : Math.min(AT_ONCE, limit - record.matched);
    const { data, next } = await this.#letters.list({
      ...filter,
      tenant,
      limit: allowed,
      // What it replays and dies again is younger.
      cursor:
        cursor === "start"
          ? cursorBefore(Math.min(record.createdAt + 1, filter.before?.getTime() ?? Number.POSITIVE_INFINITY))
          : cursor,
    });
    const done = await this.#act(record, data);
    const isFull = limit !== undefined && record.matched + data.length >= limit;
    const ended = isFull || next === undefined || timeOfCursor(next) < (filter.after?.getTime() ?? 0);
    await this.#store.advance(id, cursor, ended ? undefined : next, data.length, done);
    return ended ? KEPT_MS : 0;
  }

  async #act({ kind, tenant }: OperationRecord, letters: readonly { id: string }[]): Promise<number> {
    let done = 0;
    for (let from = 0; from < letters.length; from += IN_PARALLEL) {
      const part = letters.slice(from, from + IN_PARALLEL).map(async ({ id }) => {
        try {
          await this.#letters[kind](id, { tenant });
          done += 1;
        } catch (error) {
          // Somebody else replayed or dropped it in the meantime, or its run has moved on.
          if (!(error instanceof NotFoundError || error instanceof ConflictError)) throw error;
        }
      });
      await Promise.all(part);
    }
    return done;
  }
}

function encodeFilter({ before, after, ...rest }: DeadLetterFilter): string {
  return JSON.stringify({ ...rest, before: before?.getTime(), after: after?.getTime() });
}

function decodeFilter(json: string): DeadLetterFilter {
  const { before, after, ...rest } = JSON.parse(json) as Record<string, string> & { before?: number; after?: number };
  return {
    ...rest,
    ...(before === undefined ? {} : { before: new Date(before) }),
    ...(after === undefined ? {} : { after: new Date(after) }),
  };
}
