import { ConflictError, NotFoundError } from "./errors.ts";
import { parseDeadLetterId } from "./ids.ts";
import { pageOf } from "./listing.ts";
import type { DeadLettersApi, Tenanted } from "./millrace.ts";
import type { Records } from "./records.ts";
import { DEFAULT_TENANT, type Graphs } from "./runs.ts";
import { type DeadLetterPlace, Reply, type Store } from "./store.ts";
import type { DeadLetterView, Page, PageOptions } from "./views.ts";

/** What operators do with steps that failed for good. */
export class DeadLetters implements DeadLettersApi {
  readonly #store: Store;
  readonly #records: Records;
  readonly #graphs: Graphs;

  constructor(store: Store, records: Records, graphs: Graphs) {
    this.#store = store;
    this.#records = records;
    this.#graphs = graphs;
  }

  async list(
    options: Tenanted & PageOptions & { workflow?: string; step?: string } = {},
  ): Promise<Page<DeadLetterView>> {
    const { tenant = DEFAULT_TENANT, workflow, step } = options;
    const indexes = this.#store.allPartitions.map((keys) => keys.deadLetters(tenant));
    return pageOf(this.#records, indexes, options, async (ids) => {
      const parsed = ids.map((id) => parseDeadLetterId(id) ?? { run: id, entry: "" });
      const places = await this.#records.deadLetterPlaces(parsed);
      const wanted = places.flatMap((place, i) => {
        if (place === undefined || (workflow ?? place.workflow) !== place.workflow) return [];
        return (step ?? place.step) === place.step ? [{ ...place, run: parsed[i]!.run }] : [];
      });
      const letters = new Map((await this.#records.deadLetters(wanted)).map((letter) => [letter.id, letter]));
      return ids.map((id) => letters.get(id));
    });
  }

  async replay(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<{ run: string; step: string }> {
    const place = await this.#find(id, tenant);
    this.#refuse(id, await this.#store.replay(place));
    return { run: place.run, step: place.step };
  }

  async discard(id: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<void> {
    this.#refuse(id, await this.#store.discard(await this.#find(id, tenant)));
  }

  async #find(id: string, tenant: string): Promise<DeadLetterPlace> {
    const parsed = parseDeadLetterId(id);
    if (parsed === undefined) throw new NotFoundError("dead letter", id);
    const [place] = await this.#records.deadLetterPlaces([parsed]);
    if (place === undefined || place.tenant !== tenant) throw new NotFoundError("dead letter", id);
    const graph = await this.#graphs.of(place.workflow, place.version);
    return { ...parsed, id, tenant, step: place.step, undo: place.undo, graph };
  }

  #refuse(id: string, reply: Reply): void {
    if (reply === Reply.UnknownRun) throw new NotFoundError("dead letter", id);
    if (reply === Reply.RunEnded)
      throw new ConflictError("run_undone", "What the run had done was undone when it failed: start it again instead.");
    if (reply === Reply.Stale)
      throw new ConflictError("run_moved_on", "The run is no longer at the step that this dead letter is of.");
    if (reply === Reply.WrongType)
      throw new ConflictError("wrong_type", "A key of this dead letter holds another type than Millrace keeps there.");
  }
}
