import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RequestStore } from "../../../engine/store/request-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let requests: RequestStore;
beforeEach(() => {
  bench = new StoreBench();
  requests = new RequestStore(bench.client, bench.store.partitions);
});
afterEach(() => bench.close());

const WHICH = { tenant: "acme", hash: "abc" };
const ROW = "forget|acme|abc";
const begin = (token: string, { digest = "d", leaseMs = 60_000 } = {}) =>
  requests.begin(
    WHICH,
    { digest, token, id: `of ${token}`, seed: `seed of ${token}` },
    { leaseMs, keptMs: 86_400_000 },
  );
const answer = (reply: string) => requests.answer(WHICH, { digest: "d", reply, location: "/there" });
const mine = (of: string, isFirst: boolean) => ({ state: "mine", isFirst, id: `of ${of}`, seed: `seed of ${of}` });

async function change(act: () => Promise<unknown>) {
  const before = await bench.state();
  const said = await act();
  return { said, changed: changes(before, await bench.state()) };
}

async function wrongType(name: "once" | "timers", act: () => Promise<unknown>) {
  const key = name === "once" ? bench.keys.once("acme", "abc") : bench.keys.timers();
  await bench.redis.del(key);
  await bench.redis.set(key, "not ours");
  const before = await bench.state();
  await expect(act()).rejects.toMatchObject({ code: "wrong_type" });
  expect(await bench.state()).toEqual(before);
}

describe("begin-request", () => {
  test("a new one is the caller's, and kept for a day", async () => {
    const { said, changed } = await change(() => begin("a"));
    expect(said).toEqual(mine("a", true));
    const stored = { digest: "d", first: "a", holder: "a", id: "of a", seed: "seed of a", until: "T" };
    expect(changed).toEqual({ "once:acme:abc": stored, timers: { [ROW]: "T" } });
    const due = Number(await bench.redis.zscore(bench.keys.timers(), ROW));
    expect(Math.abs(due - Date.now() - 86_400_000)).toBeLessThan(5_000);
  });

  test("is the caller's as before when it is sent again", async () => {
    await begin("a");
    expect(await begin("a")).toEqual(mine("a", true));
  });

  test("is nobody else's meanwhile", async () => {
    await begin("a");
    const { said, changed } = await change(() => begin("b"));
    expect(said).toEqual({ state: "busy", leftMs: expect.any(Number) });
    expect((said as { leftMs: number }).leftMs).toBeGreaterThan(50_000);
    expect(changed).toEqual({});
  });

  test("is the next one's when the lease is over, with what the first has drawn", async () => {
    await begin("a", { leaseMs: 0 });
    expect(await begin("b")).toEqual(mine("a", false));
    expect(await begin("a")).toMatchObject({ state: "busy" });
  });

  test("with something else is refused", async () => {
    await begin("a");
    await expect(begin("b", { digest: "e" })).rejects.toMatchObject({ code: "idempotency_mismatch" });
  });

  test("is forgotten when its row is due", async () => {
    await begin("a");
    await bench.redis.zadd(bench.keys.timers(), 1, ROW);
    expect(await bench.timers.promote([{ kind: "forget", ...WHICH }])).toEqual([Reply.Done]);
    expect(await bench.state()).toEqual({});
  });

  test.each(["once", "timers"] as const)("a key of the wrong type refuses it: %s", (name) =>
    wrongType(name, () => begin("a")),
  );
});

describe("answer-request", () => {
  test("its reply takes the place of what it was begun with", async () => {
    await begin("a");
    const { said, changed } = await change(() => answer("sealed"));
    expect(said).toBe("sealed");
    expect(changed).toEqual({ "once:acme:abc": { digest: "d", id: "of a", location: "/there", reply: "sealed" } });
    expect(await begin("b")).toEqual({ state: "answered", id: "of a", reply: "sealed", location: "/there" });
  });

  test("the first one stays", async () => {
    await begin("a", { leaseMs: 0 });
    await begin("b");
    await answer("of b");
    expect(await change(() => answer("of a"))).toEqual({ said: "of b", changed: {} });
  });

  test("of a request that is no longer kept is not kept", async () => {
    expect(await change(() => answer("sealed"))).toEqual({ said: undefined, changed: {} });
  });

  test("a key of the wrong type refuses it", () => wrongType("once", () => answer("sealed")));
});

describe("leave-request", () => {
  test("what made nothing is forgotten", async () => {
    await begin("a");
    await requests.leave(WHICH, "a", true);
    expect(await bench.state()).toEqual({});
  });

  test("what may have made something is another's to take up at once", async () => {
    await begin("a");
    await requests.leave(WHICH, "a", false);
    expect(await begin("b")).toEqual(mine("a", false));
  });

  test("what another has begun before is kept", async () => {
    await begin("a", { leaseMs: 0 });
    await begin("b");
    await requests.leave(WHICH, "b", true);
    expect(await begin("c")).toEqual(mine("a", false));
  });

  test("whoever does not have it changes nothing", async () => {
    await begin("a", { leaseMs: 0 });
    await begin("b");
    expect((await change(() => requests.leave(WHICH, "a", true))).changed).toEqual({});
    await answer("sealed");
    expect((await change(() => requests.leave(WHICH, "b", true))).changed).toEqual({});
  });

  test.each(["once", "timers"] as const)("a key of the wrong type refuses it: %s", (name) =>
    wrongType(name, () => requests.leave(WHICH, "a", true)),
  );
});
