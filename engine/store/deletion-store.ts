import type { Graph } from "../graph.ts";
import type { Client } from "../redis/client.ts";
import { deleteRun } from "../scripts/delete-run.ts";
import type { Reply } from "../scripts/script.ts";
import type { Store } from "../store.ts";
import { encodeTimerRow } from "../timer-rows.ts";

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

  /** @param blobsWithinMs how long the caller has to delete the run's blobs, before a worker does; undefined: there are none */
  async delete({ run, tenant, graph, endedAt }: EndedRunPlace, blobsWithinMs?: number): Promise<Reply> {
    const keys = this.#store.partitionKeys(run);
    const names = graph.steps.map((step) => step.name);
    const indexes = [
      keys.runsByWorkflow(tenant, graph.workflow),
      ...ENDED.map((status) => keys.runsByStatus(tenant, status)),
    ];
    const row = blobsWithinMs === undefined ? "" : encodeTimerRow({ kind: "delete", tenant, run });
    return (await this.#client.run(
      deleteRun,
      [
        keys.run(run),
        keys.log(run),
        keys.timers(),
        keys.deadLetters(tenant),
        ...indexes,
        ...names.map((step) => keys.dead(graph, step)),
      ],
      [run, tenant, endedAt ?? "", row, blobsWithinMs ?? 0, indexes.length, ...names],
    )) as Reply;
  }

  async exists(run: string): Promise<boolean> {
    return (await this.#client.call("EXISTS", this.#store.partitionKeys(run).run(run))) === 1;
  }

  /** The blobs of this run are gone too. */
  async settle(tenant: string, run: string): Promise<void> {
    const row = encodeTimerRow({ kind: "delete", tenant, run });
    await this.#client.call("ZREM", this.#store.partitionKeys(run).timers(), row);
  }
}
