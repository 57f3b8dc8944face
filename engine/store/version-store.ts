import { delayedField } from "../commit-args.ts";
import type { Graph } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Call, Client } from "../redis/client.ts";
import { retireVersion } from "../scripts/retire-version.ts";
import type { Reply } from "../scripts/script.ts";

/** What one partition holds of a workflow version beside its runs. */
export class VersionStore {
  readonly #client: Client;
  readonly #keys: PartitionKeys;

  constructor(client: Client, keys: PartitionKeys) {
    this.#client = client;
    this.#keys = keys;
  }

  /** How many dead letters its steps have. */
  async deadLetters(graph: Graph): Promise<number> {
    const calls = graph.steps.map(({ name }): Call => ["XLEN", this.#keys.dead(graph, name)]);
    return ((await this.#client.pipeline(calls)) as number[]).reduce((sum, each) => sum + each, 0);
  }

  async retire(graph: Graph): Promise<Reply> {
    const keys = graph.steps.flatMap(({ name }) => [this.#keys.step(graph, name), this.#keys.dead(graph, name)]);
    const fields = graph.steps.map(({ name }) => delayedField(graph, name));
    return (await this.#client.run(retireVersion, [this.#keys.delayed(), ...keys], fields)) as Reply;
  }
}
