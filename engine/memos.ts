import type { BlobStore } from "./blobs/blob-store.ts";
import type { Entry } from "./entry.ts";
import { FatalError, MillraceError, UnavailableError } from "./errors.ts";
import { Unwanted } from "./interrupted.ts";
import { encodeValue, storeValue } from "./payload.ts";
import { pauseMs } from "./retry.ts";
import { MEMOS_LIMIT, type MemoStore } from "./store/memo-store.ts";
import { Reply } from "./store.ts";
import type { Values } from "./values.ts";

const NAME_LIMIT = 200;
const RETRY_FROM_MS = 50;
const RETRY_TO_MS = 1_000;

/** The attempt that remembers, as far as it matters here. */
export interface Remembering {
  readonly entry: Entry;
  readonly step: string;
  readonly blobs: BlobStore;
  readonly aborted: Error | undefined;
  readonly over: boolean;
}

/** Where results are remembered. */
export interface Memory {
  store: MemoStore;
  values: Values;
  /** Called when Redis says that the attempt has not got its step any more. */
  lost(attempt: Remembering): Promise<void>;
}

/** What one attempt remembers, and is reminded of: every name at most once. */
export class Memos {
  readonly #attempt: Remembering;
  readonly #memory: Memory;
  readonly #known = new Map<string, Promise<unknown>>();

  constructor(attempt: Remembering, memory: Memory) {
    this.#attempt = attempt;
    this.#memory = memory;
  }

  /** The result of that name, from an earlier attempt or an earlier call of this one; else the function's. */
  once(name: string, fn: () => unknown): Promise<unknown> {
    if (typeof name !== "string" || name.length < 1 || name.length > NAME_LIMIT)
      return refused(`A name for once has 1 to ${NAME_LIMIT} characters.`);
    if (typeof fn !== "function") return refused(`once(${JSON.stringify(name)}) needs a function.`);
    let known = this.#known.get(name);
    if (known === undefined) {
      known = this.#once(name, fn);
      this.#known.set(name, known);
      // What failed is tried again when it is asked for again. A handler that waits for none of it is not brought down.
      known.catch(() => this.#known.delete(name));
    }
    return known;
  }

  async #once(name: string, fn: () => unknown): Promise<unknown> {
    const { entry, step, blobs } = this.#attempt;
    const { store, values } = this.#memory;
    const recalled = await this.#untilAnswered(() => store.recall(entry, name));
    if (recalled !== null) return values.get(entry.tenant, recalled);
    this.#refuseIfOver();
    const json = encodeValue(await fn());
    const stored = await storeValue(blobs, entry.tenant, step, json);
    const { reply, known } = await this.#untilAnswered(() => store.remember(entry, name, stored));
    if (known !== undefined) return values.get(entry.tenant, known);
    if (reply === Reply.Full)
      throw new FatalError(`A step remembers ${MEMOS_LIMIT} results at the most.`, { code: "too_many_memos" });
    if (reply === Reply.WrongType)
      throw new MillraceError(
        "wrong_type",
        "The key of what is remembered holds another type than Millrace keeps there.",
      );
    if (reply !== Reply.Done) {
      await this.#memory.lost(this.#attempt);
      throw this.#attempt.aborted ?? new Unwanted();
    }
    // Read again, so that a first attempt is given what a second one would be.
    return JSON.parse(json);
  }

  /** Asks until Redis answers or the attempt is over: what was paid for is not given up because Redis was away. */
  async #untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      this.#refuseIfOver();
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        await new Promise((resolve) => setTimeout(resolve, pauseMs(tries, RETRY_FROM_MS, RETRY_TO_MS)));
      }
    }
  }

  #refuseIfOver(): void {
    if (this.#attempt.aborted !== undefined) throw this.#attempt.aborted;
    if (this.#attempt.over) throw new MillraceError("attempt_over", "The attempt is over: its handler is done.");
  }
}

function refused(message: string): Promise<never> {
  return Promise.reject(new FatalError(message, { code: "bad_once" }));
}
