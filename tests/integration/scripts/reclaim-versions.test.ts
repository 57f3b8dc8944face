import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { Client, type Runnable } from "../../../engine/redis/client.ts";
import { Store } from "../../../engine/store.ts";
import { linkTo, redisUrl } from "../../support/redis.ts";
import { StoreBench } from "../../support/store.ts";

/** What XCLAIM does in Redis 6.2 with an entry that was deleted while it was pending: it stays pending, and nil comes back. */
const XCLAIM_OF_6_2 = `
local function xclaim(key, group, consumer, idle, entry, ...)
  if redis.call('XRANGE', key, entry, entry)[1] then return redis.call('XCLAIM', key, group, consumer, idle, entry, ...) end
  return { false }
end
`;

/** A client whose scripts see the replies of that version. */
class OldClient extends Client {
  override run(script: Runnable, keys: string[], args: (string | number)[]): Promise<unknown> {
    const claims = script.source.replaceAll("redis.call('XCLAIM', ", "xclaim(");
    return super.run({ name: `${script.name} on 6.2`, source: XCLAIM_OF_6_2 + claims }, keys, args);
  }
}

let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

describe.each([
  ["6.2", OldClient],
  ["7.0", Client],
])("entries that were deleted while they were pending, with the replies of Redis %s", (_, Of) => {
  test.each(["expired", "own"] as const)("reclaim (%s) gives them up, and takes the others", async (mode) => {
    const client = new Of(linkTo(redisUrl, "reclaim"));
    const store = new Store(client, new NamespaceKeys(bench.namespace));
    const stream = bench.stream("a");
    const ids = ["0", "1", "2"].map((n) => `${bench.run.slice(0, 31)}${n}-0`);
    for (const id of ids) await bench.admit(id);
    const held = await bench.take("a");
    expect(held).toHaveLength(3);
    const now = Date.now();
    await bench.redis.hset(bench.keys.beats(), { last: now, since: now - 100_000 });
    for (const { id } of held)
      await bench.redis.call("XCLAIM", stream.key, "workers", "ann", "0", id, "IDLE", "60000", "FORCE", "JUSTID");
    await bench.redis.xdel(stream.key, held[1]!.id);
    expect((await bench.redis.xpending(stream.key, "workers"))[0]).toBe(3);
    const taken = await store.reclaim(stream, mode === "own" ? "ann" : "bob", mode, 1_000, 10, [], 9);
    expect(taken.map(({ id, count }) => [id, count])).toEqual(
      [held[0]!, held[2]!].map(({ id }) => [id, mode === "own" ? 1 : 2]),
    );
    expect((await bench.redis.xpending(stream.key, "workers"))[0]).toBe(2);
    client.close();
  });
});
