import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { workflow } from "../../../engine/index.ts";
import { DeletionStore } from "../../../engine/store/deletion-store.ts";
import { Reply } from "../../../engine/store.ts";
import type { Transition } from "../../../engine/transition.ts";
import { CHILD, child, WaitBench } from "../../support/wait-bench.ts";

const inner = workflow("inner", { input: any() }).step("a", () => 1);
const error = { name: "Error", message: "no" };

let bench: WaitBench;
beforeEach(async () => {
  bench = await WaitBench.begin();
});
afterEach(() => bench.close());

describe("delete-run of a child run", () => {
  const ended = async (parent: Entry) => {
    await bench.store.admit({ id: CHILD, graph: inner.graph, tenant: "default", input: "1", parent, detached: true });
    await bench.store.cancel(CHILD, inner.graph, "default");
  };
  const deleted = async () => {
    const deletion = new DeletionStore(bench.client, bench.store);
    const belongings = await deletion.belongings(CHILD);
    return deletion.delete({ run: CHILD, tenant: "default", graph: inner.graph, ...belongings });
  };

  test.each(["waits for it", "has been woken", "has yet to be parked"])(
    "is refused while its parent %s",
    async (when) => {
      await ended(bench.entry);
      if (when !== "has yet to be parked") await bench.park(child(true))();
      if (when === "waits for it") await bench.redis.del(bench.keys.timers());
      expect(await bench.change(deleted, Reply.Awaited, { CHILD })).toEqual({});
    },
  );

  test.each(["has read it", "has ended", "is gone"])("is gone once its parent %s", async (when) => {
    await ended(bench.entry);
    if (when === "has read it") await bench.commit({ entry: bench.entry, end: { kind: "complete", output: "1" } });
    if (when === "has ended") await bench.cancelled();
    if (when === "is gone") await bench.redis.del(bench.keys.run(bench.run));
    expect(await deleted()).toBe(Reply.Done);
  });
});

describe("admit of a child run", () => {
  const admit =
    (parent = bench.entry, detached = false) =>
    () =>
      bench.store.admit({ id: CHILD, graph: inner.graph, tenant: "default", input: "1", parent, detached });
  test("it remembers what waits for it, and that remembers it", async () => {
    expect(await bench.change(admit(), true, { CHILD })).toMatchObject({
      "run:CHILD": { status: "queued", parent: "child|default|RUN|waits|1|wait|" },
      "run:RUN": { "child:wait": "CHILD" },
      "step:inner@1:a": [expect.stringContaining("run=CHILD")],
    });
    expect(await bench.change(admit(), false)).toEqual({});
  });

  test("one that is left to itself is not remembered", async () => {
    await admit(bench.entry, true)();
    expect(await bench.fields()).not.toHaveProperty("child:wait");
    await bench.cancelled();
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(0);
  });

  test.each(["waiting for it", "not waiting yet"])(
    "its parent is cancelled while %s: so is it, by a row",
    async (when) => {
      await admit()();
      if (when === "waiting for it") await bench.park(child())();
      expect(await bench.change(bench.cancelled, Reply.Done, { CHILD })).toMatchObject({
        timers: { "cancel|default|CHILD": "T" },
      });
    },
  );

  test("its parent's step fails while it is live: it is cancelled", async () => {
    await admit()();
    const end: Transition = { kind: "dead", error };
    const dead = () => bench.commit({ entry: bench.entry, end });
    expect(await bench.change(dead, Reply.Done, { CHILD })).toMatchObject({ timers: { "cancel|default|CHILD": "T" } });
  });

  test("is refused once its parent has moved on or ended", async () => {
    expect(await bench.change(admit({ ...bench.entry, id: "1-1" }), false)).toEqual({});
    await bench.cancelled();
    expect(await bench.change(admit(), false)).toEqual({});
    await bench.redis.del(bench.keys.run(bench.run));
    expect(await bench.change(admit(), false)).toEqual({});
  });

  test("its end wakes its parent", async () => {
    await admit()();
    await bench.park(child())();
    const held = await bench.next("a", "ann", inner);
    const end: Transition = { kind: "complete", output: "1" };
    const changed = await bench.change(() => bench.commit({ entry: held, startedAgoMs: 0, end }), Reply.DoneAndDue, {
      CHILD,
    });
    expect(changed).toMatchObject({
      "run:CHILD": { status: "completed" },
      timers: { "wake|child|default|RUN|waits|1|wait||CHILD": "T" },
    });
  });
});
