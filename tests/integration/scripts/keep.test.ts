import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StoredCollection } from "../../../engine/collections.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { CollectionStore } from "../../../engine/store/collection-store.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let keys: NamespaceKeys;
let shops: StoredCollection;
beforeEach(() => {
  bench = new StoreBench();
  keys = new NamespaceKeys(bench.namespace);
  shops = new StoredCollection(new CollectionStore(bench.client, keys, "shops"));
});
afterEach(() => bench.close());

const held = async (tenant: string) => ({
  records: await bench.redis.hgetall(keys.kept("shops", tenant)),
  tenants: await bench.redis.hgetall(keys.keptTenants("shops")),
});
const ofA = { tenant: "a", most: 2 };

describe("keep", () => {
  test("a record that is made, changed and dropped", async () => {
    expect(await shops.create("s1", { n: [] }, ofA)).toEqual({ id: "s1", revision: 1, value: { n: [] } });
    expect(await held("a")).toEqual({ records: { s1: '1 {"n":[]}' }, tenants: { s1: "a" } });
    expect(await shops.update("s1", () => 2, ofA)).toEqual({ id: "s1", revision: 2, value: 2 });
    expect(await shops.get("s1", ofA)).toEqual({ id: "s1", revision: 2, value: 2 });
    expect(await shops.delete("s1", ofA)).toBe(true);
    expect(await held("a")).toEqual({ records: {}, tenants: {} });
    expect([await shops.delete("s1", ofA), await shops.get("s1", ofA)]).toEqual([false, undefined]);
    expect(await shops.update("s1", () => 2, ofA)).toBeUndefined();
  });

  test("an id is of one tenant, and a tenant has so many", async () => {
    await shops.create("s1", 1, ofA);
    for (const tenant of ["a", "b"])
      await expect(shops.create("s1", 2, { tenant, most: 9 })).rejects.toMatchObject({ code: "id_taken" });
    await shops.create("s0", 2, ofA);
    await expect(shops.create("s3", 3, ofA)).rejects.toMatchObject({ code: "collection_full" });
    await shops.create("s3", 3, { tenant: "b", most: 1 });
    expect((await shops.list(ofA)).map(({ id }) => id)).toEqual(["s0", "s1"]);
    expect([await shops.tenantOf("s3"), await shops.tenantOf("s4")]).toEqual(["b", undefined]);
    // Another tenant sees, changes and drops none of it.
    const b = { tenant: "b" };
    expect([await shops.get("s1", b), await shops.update("s1", () => 0, b), await shops.delete("s1", b)]).toEqual([
      ...[undefined, undefined, false],
    ]);
    expect(await shops.get("s1", ofA)).toMatchObject({ value: 1 });
  });

  test("changes that meet are all made, and one that never comes to it gives up", async () => {
    await shops.create("n", 0, ofA);
    await Promise.all(Array.from({ length: 4 }, () => shops.update("n", (n) => Number(n) + 1, ofA)));
    expect(await shops.get("n", ofA)).toEqual({ id: "n", revision: 5, value: 4 });
    const crossed = shops.update(
      "n",
      (n) => {
        // Before this is written, somebody else has: over one connection what is sent first is done first.
        const other = `${Math.floor(Math.random() * 1e9)} ${n}`;
        void bench.client.call("HSET", keys.kept("shops", "a"), "n", other);
        return 9;
      },
      ofA,
    );
    await expect(crossed).rejects.toMatchObject({ code: "collection_busy" });
  });

  test("what does not fit is refused before anything is written", async () => {
    await expect(shops.create("a b", 1, ofA)).rejects.toMatchObject({ code: "invalid_input" });
    await expect(shops.create("s", 1, { tenant: "", most: 1 })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(shops.create("s", "x".repeat(16_384), ofA)).rejects.toMatchObject({ code: "invalid_input" });
    await expect(shops.create("s", 1n, ofA)).rejects.toMatchObject({ code: "invalid_input" });
    await bench.redis.set(keys.keptTenants("shops"), "text");
    await expect(shops.create("s", 1, ofA)).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.redis.exists(keys.kept("shops", "a"))).toBe(0);
  });
});
