import type { BlobStore } from "./blobs/blob-store.ts";
import { noBlobs } from "./blobs/no-blobs.ts";
import { logger } from "./log.ts";
import type { DeletionStore, EndedRunPlace } from "./store/deletion-store.ts";
import { Reply } from "./store.ts";
import type { Continuations } from "./timers.ts";

const log = logger("deletion");

/** How long the process that removed a run has to delete its items and its blobs, before a worker does it. */
const REST_WITHIN_MS = 60_000;

/**
 * Deletes ended runs. The record goes first, and leaves a timer row behind that stands for its items and its blobs until those are
 * gone too: whoever dies in between, nothing is left without an owner, and no run is seen whose values are missing.
 */
export class Deletion {
  readonly #store: DeletionStore;
  readonly #blobs: BlobStore;

  constructor(store: DeletionStore, blobs: BlobStore) {
    this.#store = store;
    this.#blobs = blobs;
  }

  /** @returns Done; UnknownRun; Stale if it has not ended, or not when it is said to have; Awaited; WrongType */
  async delete(place: EndedRunPlace): Promise<Reply> {
    const { run, tenant, endedAt } = place;
    const { items, ...belongings } = await this.#store.belongings(run);
    const all = { ...place, ...belongings };
    if (this.#blobs === noBlobs && items === "") return this.#store.delete(all);
    const reply = await this.#store.delete(all, items, REST_WITHIN_MS);
    if (reply !== Reply.Done) return reply;
    try {
      if (items !== "") await this.#store.deleteItems(run, items);
      await this.#blobs.deleteOf(tenant, run);
      // Who does not say when it ended may have cancelled it just now, and its handler may be about to put something yet:
      // the row stays for a second look.
      if (endedAt !== undefined) await this.#store.settle(tenant, run, items);
    } catch (error) {
      log.warn("the blobs of the deleted run {run} are left to a worker: {error}", { run, error });
    }
    return reply;
  }

  /** Deletes what the process that removed the run has not. A worker without a blob store leaves it to others. */
  readonly goOn: Continuations["delete"] = async ({ tenant, run, items }) => {
    // A run that was admitted twice at the same time, once after it had been expected again.
    if (await this.#store.exists(run)) return undefined;
    if (items !== "") await this.#store.deleteItems(run, items);
    if (this.#blobs === noBlobs) return items === "" ? REST_WITHIN_MS : undefined;
    await this.#blobs.deleteOf(tenant, run);
    return undefined;
  };
}
