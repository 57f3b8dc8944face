import type { ClusterNode } from "./cluster.ts";

const KEYS_AT_ONCE = 100;
const TIMEOUT_MS = 5_000;

/**
 * Moves a slot and its keys while it is served. In between a script whose keys are half here and half there is refused with
 * TRYAGAIN, and one whose keys have all gone is sent on with ASK.
 *
 * @param masters all of them: the new owner is made known to each
 */
export async function moveSlot(masters: readonly ClusterNode[], slot: number, to: ClusterNode): Promise<void> {
  const from = await ownerOf(masters, slot);
  if (from.id === to.id) return;
  await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
  await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
  for (;;) {
    const keys = (await from.client.call("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE)) as string[];
    if (keys.length === 0) break;
    await from.client.call("MIGRATE", "127.0.0.1", to.port, "", 0, TIMEOUT_MS, "KEYS", ...keys);
  }
  const others = masters.filter(({ id }) => id !== to.id && id !== from.id);
  for (const { client } of [to, from, ...others]) await client.call("CLUSTER", "SETSLOT", slot, "NODE", to.id);
}

async function ownerOf(masters: readonly ClusterNode[], slot: number): Promise<ClusterNode> {
  const ranges = (await masters[0]!.client.call("CLUSTER", "SLOTS")) as [number, number, [string, number, string]][];
  const [, , [, , id]] = ranges.find(([from, to]) => from <= slot && slot <= to)!;
  return masters.find((node) => node.id === id)!;
}
