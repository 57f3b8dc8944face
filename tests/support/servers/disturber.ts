import { setInterval } from "node:timers/promises";
import { Random } from "../faults/random.ts";
import type { Cluster, ClusterNode } from "./cluster.ts";

/** What was done to a cluster. */
export interface Disturbance {
  moves: number;
  flushes: number;
}

const MOVE_EVERY_MS = 200;
const FLUSH_EVERY_MS = 1_000;

/**
 * Moves slots that hold keys back and forth between the masters of a cluster, and has every master forget its scripts each
 * second.
 *
 * @returns what ends that, and says how much was done
 */
export function disturb(cluster: Cluster, seed: number): () => Promise<Disturbance> {
  const done: Disturbance = { moves: 0, flushes: 0 };
  const leaving = new AbortController();
  const random = new Random(seed);
  const move = async () => {
    const masters = await cluster.masters();
    const key = await random.pick(masters).client.randomkey();
    if (key === null) return;
    const from = await cluster.masterOf(key);
    const slot = Number(await from.client.call("CLUSTER", "KEYSLOT", key));
    await cluster.moveSlot(slot, random.pick(masters.filter((node: ClusterNode) => node !== from)));
    done.moves += 1;
  };
  const flush = async () => {
    for (const { client } of await cluster.masters()) await client.script("FLUSH");
    done.flushes += 1;
  };
  const every = async (ms: number, act: () => Promise<void>) => {
    for await (const _ of setInterval(ms, undefined, { signal: leaving.signal })) await act();
  };
  const work = [every(MOVE_EVERY_MS, move), every(FLUSH_EVERY_MS, flush)].map((loop) =>
    loop.catch((error) => {
      if (!leaving.signal.aborted) throw error;
    }),
  );
  const ended = Promise.all(work);
  // What goes wrong is told to whoever ends it.
  ended.catch(() => {});
  return async () => {
    leaving.abort();
    await ended;
    return done;
  };
}
