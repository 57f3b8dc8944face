import type { CommitItem } from "../commit-args.ts";
import { encodeEvent } from "../events.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { commitUndo } from "../scripts/commit-undo.ts";
import { replayUndo } from "../scripts/replay-undo.ts";
import type { Reply } from "../scripts/script.ts";
import type { DeadLetterPlace } from "../step-places.ts";
import { undoArgs, undoSteps } from "../undo-args.ts";

/** What is stored of the undoing of runs. */
export class UndoStore {
  readonly #client: Client;
  readonly #keysOf: (id: string) => PartitionKeys;

  constructor(client: Client, keysOf: (id: string) => PartitionKeys) {
    this.#client = client;
    this.#keysOf = keysOf;
  }

  /** Commits what an entry that undoes a step has come to. */
  async commit(consumer: string, item: CommitItem): Promise<Reply> {
    const { keys, args } = undoArgs(this.#keysOf(item.entry.run), consumer, item);
    return (await this.#client.run(commitUndo, keys, args)) as Reply;
  }

  /** Has a step undone again whose undo went to dead letters. */
  async replay({ id, run, entry, graph, tenant, step, lane = "normal" }: DeadLetterPlace): Promise<Reply> {
    const keys = this.#keysOf(run);
    const names = undoSteps(graph);
    const event = encodeEvent({ type: "run.started", data: { undo: true } });
    return (await this.#client.run(
      replayUndo,
      [
        ...[keys.run(run), keys.log(run), keys.dead(graph, step), keys.deadLetters(tenant)],
        ...["running", "failed", "cancelled"].map((status) => keys.runsByStatus(tenant, status)),
        ...names.map((name) => keys.step(graph, name, lane)),
      ],
      [run, id, entry, event, ...names],
    )) as Reply;
  }
}
