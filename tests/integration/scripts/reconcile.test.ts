import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import type { Client, Runnable } from "../../../engine/redis/client.ts";
import { Reply } from "../../../engine/store.ts";
import type { Transition } from "../../../engine/transition.ts";
import { looked, NOTHING, ONE_PLACE, reconcileStore } from "../../support/reconcile.ts";
import { StoreBench } from "../../support/store.ts";
import { trip, UndoBench } from "../../support/undo.ts";

const error = { name: "Error", message: "no" };

/** The record of a step, with E for its place if that is the one entry of the step's stream. */
async function recordOf(bench: StoreBench, step: string, definition = bench.definition, field = `step:${step}`) {
  const entries = await bench.redis.xrange(bench.stream(step, definition).key, "-", "+");
  expect(entries).toHaveLength(1);
  return (await bench.redis.hget(bench.keys.run(bench.run), field))?.replace(entries[0]![0], "E");
}

describe("the entry of a step", () => {
  let bench: StoreBench;
  const stream = () => bench.stream("a").key;
  beforeEach(async () => {
    bench = new StoreBench();
    await bench.admit();
  });
  afterEach(() => bench.close());

  test("that waits for a worker, or is in one's hands, stays", async () => {
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.take("a");
    expect(await looked(bench, NOTHING)).toEqual({});
  });

  test("whose group is gone stays: it is delivered again once that is made", async () => {
    await bench.take("a");
    await bench.redis.xgroup("DESTROY", stream(), "workers");
    expect(await looked(bench, NOTHING)).toEqual({});
  });

  test("that is deleted is added anew, and charged nothing", async () => {
    await bench.redis.xdel(stream(), (await bench.redis.xrange(stream(), "-", "+"))[0]![0]);
    expect(await looked(bench, ONE_PLACE)).toEqual({
      "step:two@1:a": ["E1 run=RUN tenant=default input="],
    });
    expect(await recordOf(bench, "a")).toBe("queued 0 0 0 E - - 0");
    const [entry] = await bench.take("a");
    expect(entry).toMatchObject({ run: bench.run, crashes: 0, failures: 0 });
    expect(await bench.commit({ entry: entry!, startedAgoMs: 0, end: { kind: "complete", output: "1" } })).toBe(
      Reply.Done,
    );
  });

  test("whose stream is deleted, in a worker's hands: the worker has it no more", async () => {
    const [entry] = await bench.take("a");
    await bench.commit({ entry: entry!, startedAgoMs: 0 });
    await bench.redis.del(stream());
    expect(await looked(bench, ONE_PLACE)).toEqual({
      "run:RUN": expect.objectContaining({ status: "running", "step:a": "queued 1 0 0 E1 - - 0" }),
      "step:two@1:a": ["E1 run=RUN tenant=default input="],
    });
    expect(await bench.commit({ entry: entry!, end: { kind: "complete", output: "1" } })).toBe(Reply.NotOwner);
  });

  test("that was deleted while it was pending keeps the crashes that are known of it", async () => {
    const [entry] = await bench.take("a");
    await bench.redis.xclaim(stream(), "workers", "bob", 0, entry!.id);
    await bench.redis.xdel(stream(), entry!.id);
    expect(await looked(bench, ONE_PLACE)).toMatchObject({
      "run:RUN": { "step:a": "queued 0 0 1 E1 - - 0" },
      "step:two@1:a": ["E1 run=RUN tenant=default input= failures=0 crashes=1"],
    });
    expect(await bench.redis.xpending(stream(), "workers")).toEqual([0, null, null, null]);
  });

  test.each([
    ["was acknowledged, and is there still", async (id: string) => bench.redis.xack(stream(), "workers", id)],
    [
      "was left out by a group that began behind it",
      async () => {
        await bench.redis.xgroup("DESTROY", stream(), "workers");
        await bench.redis.xgroup("CREATE", stream(), "workers", "$");
      },
    ],
  ])("that %s is replaced: nobody would come to it", async (_, lose) => {
    const [entry] = await bench.take("a");
    await lose(entry!.id);
    expect(await looked(bench, ONE_PLACE)).toEqual({ "step:two@1:a": ["E1 run=RUN tenant=default input="] });
    expect(await recordOf(bench, "a")).toBe("queued 0 0 0 E - - 0");
  });

  test("keeps the failures and the crashes of its step", async () => {
    const [entry] = await bench.take("a");
    await bench.commit({
      entry: { ...entry!, crashes: 1 },
      startedAgoMs: 0,
      end: { kind: "retry", error, delayMs: 0 },
    });
    const { due } = await bench.timers.dueTimers(1);
    await bench.timers.promote(due as never);
    await bench.redis.del(stream());
    expect(await looked(bench, ONE_PLACE)).toEqual({
      "step:two@1:a": ["E1 run=RUN tenant=default input= failures=1 crashes=1"],
    });
    expect(await recordOf(bench, "a")).toBe("queued 2 1 1 E - - 0");
  });

  test("of a run that has moved on since it was read stays as it is", async () => {
    const [entry] = await bench.take("a");
    await bench.redis.xdel(stream(), entry!.id);
    // Between the reading and the script somebody else puts it back.
    const client = racing(bench.client, async () => {
      await reconcileStore(bench, bench.definition.graph).reconcile("default", [bench.run], Date.now());
    });
    const second = reconcileStore({ ...bench, keys: bench.keys, client }, bench.definition.graph);
    expect(await second.reconcile("default", [bench.run], Date.now())).toEqual(NOTHING);
    expect(await bench.redis.xlen(stream())).toBe(1);
  });

  test("of a run that has been cancelled since it was read is not put back", async () => {
    await bench.redis.del(stream());
    const client = racing(bench.client, async () => {
      await bench.store.cancel(bench.run, bench.definition.graph, "default");
    });
    const store = reconcileStore({ ...bench, keys: bench.keys, client }, bench.definition.graph);
    expect(await store.reconcile("default", [bench.run], Date.now())).toEqual(NOTHING);
    expect(await bench.redis.xlen(stream())).toBe(0);
  });

  test("in a key of another type: nothing is written", async () => {
    await bench.redis.del(stream());
    await bench.redis.set(stream(), "other");
    expect(await looked(bench, NOTHING)).toEqual({});
  });
});

describe("items", () => {
  const map = workflow("each", { input: any() })
    .map("map", { over: () => [1, 2, 3], run: () => 1 })
    .step("end", () => 2);
  let bench: StoreBench;
  beforeEach(async () => {
    bench = new StoreBench(map);
    await bench.admit();
    await bench.come("map", { kind: "expand", total: 3, limit: 2, first: "" });
  });
  afterEach(() => bench.close());

  test("that are in their stream or in hand stay", async () => {
    expect(await looked(bench, NOTHING)).toEqual({});
    await bench.take("map", "ann", 1);
    expect(await looked(bench, NOTHING)).toEqual({});
  });

  test("whose stream is gone are added anew", async () => {
    await bench.redis.del(bench.stream("map").key);
    expect(await looked(bench, { places: 2, rows: 0 })).toEqual({
      "step:each@1:map": [
        "E1 run=RUN tenant=default input= failures=0 crashes=0 item=0",
        "E2 run=RUN tenant=default input= failures=0 crashes=0 item=1",
      ],
    });
    const entries = await bench.redis.xrange(bench.stream("map").key, "-", "+");
    const records = await bench.redis.hgetall(bench.keys.items(bench.run, "map"));
    expect(records).toEqual({
      "0": `queued 0 0 0 ${entries[0]![0]} - - 0`,
      "1": `queued 0 0 0 ${entries[1]![0]} - - 0`,
    });
  });

  test("whose row is gone are tried again", async () => {
    const [first] = await bench.take("map");
    await bench.commit({ entry: first!, startedAgoMs: 0, end: { kind: "retry", error, delayMs: 60_000 } });
    await bench.redis.del(bench.keys.timers());
    expect(await looked(bench, ONE_PLACE)).toMatchObject({
      timers: { "wake|retry|default|RUN|each|1|map|0|E1": "T" },
    });
  });

  test("that are all gone: their step begins anew", async () => {
    await bench.redis.del(bench.keys.items(bench.run, "map"), bench.stream("map").key);
    const changed = await looked(bench, ONE_PLACE);
    expect(changed).toMatchObject({
      "run:RUN": { "step:map": expect.stringMatching(/^queued 1 0 0 E1 - - 0$/) },
      "step:each@1:map": ["E1 run=RUN tenant=default input="],
    });
    expect(changed["run:RUN"]).not.toHaveProperty("items:map");
    const [entry] = await bench.take("map");
    const again: Transition = { kind: "expand", total: 3, limit: 2, first: "" };
    expect(await bench.commit({ entry: entry!, startedAgoMs: 0, end: again })).toBe(Reply.Done);
    expect(await bench.redis.hkeys(bench.keys.items(bench.run, "map"))).toEqual(["0", "1"]);
  });
});

describe("what undoes a step", () => {
  test("is put back like a step, and says that it does", async () => {
    const bench = new UndoBench();
    await bench.atLastStep();
    await bench.store.cancel(bench.run, trip.graph, "default");
    expect(await looked(bench, NOTHING, trip.graph)).toEqual({});
    await bench.redis.del(bench.stream("b", trip).key);
    expect(await looked(bench, ONE_PLACE, trip.graph)).toEqual({
      "step:trip@1:b": ["E run=RUN tenant=default input= failures=0 crashes=0 wake=undo"],
    });
    expect(await recordOf(bench, "b", trip, "undo:b")).toBe("queued 0 0 0 E - - 0");
    bench.close();
  });
});

/** A client by which something happens just before the script runs. */
function racing(client: Client, meanwhile: () => Promise<void>): Client {
  return new Proxy(client, {
    get(target, name) {
      if (name === "run")
        return async (script: Runnable, keys: string[], args: (string | number)[]) => {
          await meanwhile();
          return target.run(script, keys, args);
        };
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
