import type { Graph } from "../graph.ts";
import { CHUNK } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { deleteRun } from "../scripts/delete-run.ts";
import type { Reply } from "../scripts/script.ts";
import { parentPlace } from "../step-places.ts";
import type { Store } from "../store.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { limitRows } from "./start-terms.ts";

const ENDED = ["completed", "failed", "cancelled"] as const;

/** Which run to remove. */
export interface EndedRunPlace {
  run: string;
  tenant: string;
  graph: Graph;
  /** Only if it ended then, in ms. Default: whenever it ended. */
  endedAt?: number;
}

/** Removes ended runs from Redis. */
export class DeletionStore {
  readonly #client: Client;
  readonly #store: Store;

  constructor(client: Client, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /**
   * What of a run its record alone knows: its tags; what waits for it, if it is a child run; and which steps have items, in
   * how many chunks, as a timer row tells it. Its graph may have lost some of those when it was moved to another version.
   */
  async belongings(run: string): Promise<{ tags: string[]; parent?: string; items: string }> {
    const [names] = await this.#client.pipeline([["HKEYS", this.#store.partitionKeys(run).run(run)]]);
    const named = (names as string[]).map((field) => /^(?:items|chunks):(.+)$/.exec(field)?.[1]);
    const steps = [...new Set(named)].filter((name) => name !== undefined);
    const fields = steps.flatMap((name) => [`items:${name}`, `chunks:${name}`]);
    const [tags, parent, ...found] = await this.#store.readFields(run, "tags", "parent", ...fields);
    const counts = steps.map((name, i) => {
      const begun = Number(found[2 * i]?.split(" ")[1] ?? 0);
      return { name, chunks: Math.max(Math.ceil(begun / CHUNK), Number(found[2 * i + 1] ?? 0)) };
    });
    const items = counts.flatMap(({ name, chunks }) => (chunks > 0 ? [`${name}:${chunks}`] : [])).join(",");
    return { tags: JSON.parse(tags ?? "[]"), ...(parent == null ? {} : { parent }), items };
  }

  /** Removes the items of a run that is gone, a hundred keys at a time. */
  async deleteItems(run: string, items: string): Promise<void> {
    const keys = this.#store.partitionKeys(run);
    const all = items.split(",").flatMap((each) => {
      const [step = "", chunks] = each.split(":");
      return [keys.items(run, step), ...Array.from({ length: Number(chunks) }, (_, k) => keys.chunk(run, step, k))];
    });
    for (let from = 0; from < all.length; from += 100)
      await this.#client.call("UNLINK", ...all.slice(from, from + 100));
  }

  /** @param restWithinMs how long the caller has to delete the run's items and blobs, before a worker does; undefined: there are none */
  async delete(
    { run, tenant, graph, endedAt, tags = [], parent }: EndedRunPlace & { tags?: readonly string[]; parent?: string },
    items = "",
    restWithinMs?: number,
  ): Promise<Reply> {
    const keys = this.#store.partitionKeys(run);
    const names = graph.steps.map((step) => step.name);
    const indexes = [
      keys.runsByWorkflow(tenant, graph.workflow),
      ...ENDED.map((status) => keys.runsByStatus(tenant, status)),
      ...tags.map((tag) => keys.runsByTag(tenant, tag)),
    ];
    const waiting = parentPlace(keys, parent);
    const row = restWithinMs === undefined ? "" : encodeTimerRow({ kind: "delete", tenant, run, items });
    return (await this.#client.run(
      deleteRun,
      [
        keys.run(run),
        keys.log(run),
        keys.timers(),
        keys.deadLetters(tenant),
        waiting?.run ?? keys.run(run),
        waiting?.holder ?? keys.run(run),
        keys.ends(tenant),
        ...indexes,
        ...names.map((step) => keys.dead(graph, step)),
        keys.memos(run),
      ],
      [
        run,
        tenant,
        endedAt ?? "",
        row,
        restWithinMs ?? 0,
        waiting?.record ?? "",
        indexes.length,
        ...limitRows(run, graph),
        ...names,
      ],
    )) as Reply;
  }

  async exists(run: string): Promise<boolean> {
    return (await this.#client.call("EXISTS", this.#store.partitionKeys(run).run(run))) === 1;
  }

  /** The items and the blobs of this run are gone too. */
  async settle(tenant: string, run: string, items = ""): Promise<void> {
    const row = encodeTimerRow({ kind: "delete", tenant, run, items });
    await this.#client.call("ZREM", this.#store.partitionKeys(run).timers(), row);
  }
}
