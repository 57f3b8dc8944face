import { gateKeys } from "../gate-places.ts";
import { delayedField, type Graph } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Call, Client } from "../redis/client.ts";
import { retireVersion } from "../scripts/retire-version.ts";
import type { Reply } from "../scripts/script.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { PRIORITIES } from "../views.ts";
import { laneField } from "./lane-store.ts";

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
    const streams = graph.steps.flatMap(({ name }) => [
      ...PRIORITIES.map((lane) => this.#keys.step(graph, name, lane)),
      this.#keys.dead(graph, name),
    ]);
    const lanes = PRIORITIES.map((lane) => laneField(graph, lane));
    const fields = graph.steps.map(({ name }) => delayedField(graph, name));
    const limited = graph.steps.filter(({ limits }) => limits).map(({ name }) => name);
    const gates = limited.flatMap((step) => gateKeys(this.#keys, graph, step));
    const { workflow } = graph;
    const rows = limited.map((step) => encodeTimerRow({ kind: "gate", workflow, version: `${graph.version}`, step }));
    const keys = [this.#keys.delayed(), this.#keys.lanes(), this.#keys.timers(), ...streams, ...gates];
    const args = [lanes.length, ...lanes, rows.length, ...rows, ...fields];
    return (await this.#client.run(retireVersion, keys, args)) as Reply;
  }
}
