import type { StepStream } from "../entry.ts";
import { gateKeys } from "../gate-places.ts";
import { workflowVersion } from "../graph.ts";
import type { PartitionKeys } from "../keys.ts";
import { encodeLimits, limitsPerPartition, type StepLimits } from "../limits.ts";
import { logger } from "../log.ts";
import type { Call, Client } from "../redis/client.ts";
import { Reply } from "../scripts/script.ts";
import { setLimits } from "../scripts/set-limits.ts";
import { turnGate } from "../scripts/turn-gate.ts";
import type { Store } from "../store.ts";

const log = logger("gate-store");

/** So many that hold a slot are looked at in one go, to see whether their runs are still live. */
const HOLDERS_AT_ONCE = 50;
/** A gate whose keys are not what they should be is looked at again after this. */
const WRONG_AGAIN_MS = 60_000;

type Version = { workflow: string; version: number | string };

/** The gates of steps with limits. */
export class GateStore {
  readonly #client: Client;
  readonly #store: Store;

  constructor(client: Client, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /** Stores the limits of the steps of these streams that have some. */
  async open(streams: readonly StepStream[]): Promise<void> {
    for (const { keys, gate, graph, step } of streams)
      if (gate === "before" && keys.index === 0) await this.setLimits(graph, step.name, step.limits!);
  }

  /** Stores the limits of the steps of these streams again where they are gone: without them nothing would wait. */
  async restore(streams: readonly StepStream[]): Promise<void> {
    const gated = streams.filter(({ gate }) => gate === "before");
    const stored = await this.#client.replies(
      gated.map(({ keys, graph, step }): Call => ["HEXISTS", keys.gate(graph, step.name), "limits"]),
    );
    for (const [i, { graph, step }] of gated.entries())
      if (stored[i] === 0) await this.setLimits(graph, step.name, step.limits!);
  }

  /** Stores the limits of a step: they are those of the worker that started last. */
  async setLimits(graph: Version, step: string, limits: StepLimits): Promise<Reply[]> {
    const share = encodeLimits(limitsPerPartition(limits, this.#store.partitions.count));
    return Promise.all(
      this.#store.allPartitions.map(async (keys) => {
        const touched = [keys.timers(), ...gateKeys(keys, graph, step)];
        const reply = await this.#client.run(setLimits, touched, [workflowVersion(graph), step, share]);
        if (reply === Reply.WrongType) log.error("a key of the gate of {step} holds another type", { step });
        return reply as Reply;
      }),
    );
  }

  /** Starts what may start by now, and sets the gate's timer row anew. In how many ms to try again, if it could not. */
  async turn(keys: PartitionKeys, graph: Version, step: string): Promise<number | undefined> {
    const touched = gateKeys(keys, graph, step);
    const [, , heldKey] = touched;
    // Some at random: over time, all.
    const held = await this.#client.replies([["ZRANDMEMBER", heldKey!, HOLDERS_AT_ONCE]]);
    const holders = (Array.isArray(held[0]) ? (held[0] as string[]) : []).map((member) => member.split("|"));
    const runs = holders.map(([, run]) => keys.run(run!));
    const args = [workflowVersion(graph), step, ...holders.flatMap(([, run, item]) => [run!, item!])];
    const reply = await this.#client.run(turnGate, [keys.timers(), ...touched, ...runs], args);
    if (reply === Reply.Done) return undefined;
    log.error("a key of the gate of {step} holds another type", { step });
    return WRONG_AGAIN_MS;
  }
}
