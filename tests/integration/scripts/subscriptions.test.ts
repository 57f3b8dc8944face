import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deadLetterId, newRunId } from "../../../engine/ids.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { Reply, Store } from "../../../engine/store.ts";
import { encodeSettings } from "../../../engine/subscriptions/settings.ts";
import { changes } from "../../support/state.ts";
import { two } from "../../support/store.ts";
import { QUEUED, SubscriptionBench, settings } from "../../support/subscription-bench.ts";

let bench: SubscriptionBench;
beforeEach(() => {
  bench = new SubscriptionBench();
});
afterEach(() => bench.close());

const json = encodeSettings(settings);
const MAX = settings.maxBytes;

describe("subscribe", () => {
  test("a new one: its settings, its stream and group, and another version", async () => {
    expect(await bench.changed(() => bench.subscribe(), Reply.Done)).toEqual({
      subscriptions: { "of:ann": json, "since:ann": "T", version: "1-T" },
      "sub:ann": [],
    });
  });

  test("the same again changes nothing", async () => {
    await bench.subscribe();
    expect(await bench.changed(() => bench.subscribe(), Reply.Already)).toEqual({});
  });

  test("other settings take the place of the old", async () => {
    await bench.subscribe();
    const given = { ...settings, tenant: "acme" };
    expect(await bench.changed(() => bench.subscribe(given), Reply.Done)).toEqual({
      subscriptions: { "of:ann": encodeSettings(given), "since:ann": "T", version: "2-T" },
    });
  });

  test("there are no more than twenty, and those that there are can be changed still", async () => {
    for (let i = 0; i < 20; i += 1) await bench.subscribe({ ...settings, group: `g${i}` });
    expect(await bench.changed(() => bench.subscribe(), Reply.Full)).toEqual({});
    expect(await bench.subscribe({ ...settings, group: "g7", tenant: "acme" })).toBe(Reply.Done);
  });

  test.each(["subscriptions", "subscription"] as const)("%s of the wrong type refuse it", async (key) => {
    await bench.redis.set(bench.keys[key]("ann"), "not ours");
    const before = await bench.state();
    await expect(bench.subscribe()).rejects.toMatchObject({ code: "wrong_type" });
    expect(changes(before, await bench.state())).toEqual({});
  });
});

describe("scripts that append to a log", () => {
  test("admit tells who takes its event", async () => {
    await bench.subscribe();
    await bench.subscribe({ ...settings, group: "eve", workflows: ["other"] });
    await bench.subscribe({ ...settings, group: "tom", tenant: "acme" });
    await bench.admit();
    const state = await bench.state();
    expect(state["sub:ann"]).toEqual([expect.stringMatching(/^E\d /)]);
    expect(state["sub:ann"]![0 as never]).toContain(QUEUED);
    expect([state["sub:eve"], state["sub:tom"]]).toEqual([[], []]);
  });

  test("commit tells each of its events with its number", async () => {
    await bench.subscribe({ ...settings, events: ["step.started", "step.completed", "run.completed"] });
    const entry = await bench.held();
    await bench.commit({ entry, startedAgoMs: 0, end: { kind: "complete", output: "1" } });
    const told = (await bench.subscriptions.read(bench.client, "ann", "bob", 10, 1)).map(({ event }) => event);
    expect(told.map(({ seq, type, step, attempt }) => [seq, type, step, attempt])).toEqual([
      [3, "step.started", "a", 1],
      [4, "step.completed", "a", 1],
    ]);
  });

  test("events of steps only, where steps are named", async () => {
    await bench.subscribe({ ...settings, events: ["run.queued", "step.completed"], steps: ["b"] });
    for (const step of ["a", "b"]) {
      if (step === "a") await bench.admit();
      const [entry] = await bench.take(step);
      await bench.commit({ entry: entry!, startedAgoMs: 0, end: { kind: "complete", output: "1" } });
    }
    const told = await bench.subscriptions.read(bench.client, "ann", "bob", 10, 1);
    expect(told.map(({ event }) => [event.type, event.step])).toEqual([["step.completed", "b"]]);
  });

  test("cancel and replay tell theirs", async () => {
    await bench.subscribe({ ...settings, events: ["run.queued", "run.failed", "run.cancelled"] });
    const entry = await bench.held();
    await bench.fail(entry);
    const letter = { id: deadLetterId(bench.run, entry.id), run: bench.run, entry: entry.id };
    await bench.store.replay({ ...letter, graph: two.graph, tenant: "default", step: "a" });
    await bench.store.cancel(bench.run, two.graph, "default");
    const told = await bench.subscriptions.read(bench.client, "ann", "bob", 10, 1);
    expect(told.map(({ event }) => event.type)).toEqual(["run.queued", "run.failed", "run.queued", "run.cancelled"]);
  });

  test("a process whose list is out of date writes nothing by it, reads it and tells all", async () => {
    const elsewhere = new Store(bench.client, new NamespaceKeys(bench.namespace));
    await elsewhere.admit({ id: newRunId(0), graph: two.graph, tenant: "default", input: "1" });
    await bench.subscribe();
    await elsewhere.admit({ id: bench.run, graph: two.graph, tenant: "default", input: "1" });
    await bench.subscriptions.unsubscribe("ann");
    await elsewhere.admit({ id: newRunId(0), graph: two.graph, tenant: "default", input: "1" });
    await bench.subscribe();
    await elsewhere.admit({ id: newRunId(0), graph: two.graph, tenant: "default", input: "1" });
    expect((await bench.state())["sub:ann"]).toHaveLength(1);
  });

  test("a list that was lost, and counted anew to the same number, is told from the one before", async () => {
    await bench.subscribe({ ...settings, group: "lost" });
    await bench.admit();
    const { version } = await bench.subscriptions.fields();
    const serverMs = async () => (await bench.client.timed([])).nowMs;
    while ((await serverMs()) <= Number(version!.slice(2)));
    await bench.redis.del(bench.keys.subscriptions(), bench.keys.subscription("lost"));
    await bench.subscribe();
    const now = (await bench.subscriptions.fields()).version!;
    expect([version, now]).toEqual([expect.stringMatching(/^1-/), expect.stringMatching(/^1-/)]);
    await bench.admit(newRunId(0));
    expect((await bench.state())["sub:ann"]).toHaveLength(1);
  });

  test("subscriptions of the wrong type refuse all, and nothing is written", async () => {
    await bench.redis.set(bench.keys.subscriptions(), "not ours");
    const before = await bench.state();
    await expect(bench.admit()).rejects.toThrow("the subscriptions of this namespace are not a hash");
    expect(changes(before, await bench.state())).toEqual({});
  });

  test("a stream of the wrong type pauses its subscription, and the run goes on", async () => {
    await bench.subscribe();
    await bench.redis.set(bench.keys.subscription("ann"), "not ours");
    expect(await bench.admit()).toBe(true);
    expect((await bench.subscriptions.standing("ann"))[1]).toMatch(/^wrong_type \d{13}$/);
  });

  test("a stream that has grown too large is paused, told nothing more, and others are", async () => {
    await bench.subscribe({ ...settings, maxBytes: 1_000 });
    await bench.subscribe({ ...settings, group: "eve" });
    for (let i = 0; i < 70; i += 1) await bench.admit(newRunId(0));
    expect(await bench.redis.xlen(bench.keys.subscription("ann"))).toBe(64);
    expect(await bench.redis.xlen(bench.keys.subscription("eve"))).toBe(70);
    expect((await bench.subscriptions.standing("ann"))[1]).toMatch(/^full \d{13}$/);
    expect((await bench.subscriptions.standing("eve"))[1]).toBeNull();
  });
});

describe("resume-subscription", () => {
  const resume = () => bench.subscriptions.resume("ann", MAX);
  const pause = () => bench.redis.hset(bench.keys.subscriptions(), "paused:ann", "full 1700000000000");

  test("it takes events again, and remembers since when it took none", async () => {
    await bench.subscribe();
    await pause();
    expect(await bench.changed(resume, [Reply.Done, 1_700_000_000_000, expect.any(Number)])).toEqual({
      subscriptions: { "gap:ann": "T T", "of:ann": json, "since:ann": "T", version: "2-T" },
    });
    await bench.admit();
    expect((await bench.state())["sub:ann"]).toHaveLength(1);
  });

  test("one that is not paused, one that is full still, none at all", async () => {
    expect(await bench.changed(resume, [Reply.UnknownRun])).toEqual({});
    await bench.subscribe();
    expect(await bench.changed(resume, [Reply.Already])).toEqual({});
    await pause();
    await bench.admit(newRunId(0));
    const small = () => bench.subscriptions.resume("ann", 10);
    expect(await bench.changed(small, [Reply.Full, "events"])).toEqual({});
  });

  test.each(["subscriptions", "subscription", "undelivered"] as const)(
    "%s of the wrong type refuse it",
    async (key) => {
      await bench.redis.set(bench.keys[key]("ann"), "not ours");
      await expect(resume()).rejects.toMatchObject({ code: "wrong_type" });
    },
  );
});

describe("unsubscribe", () => {
  test("all of it is gone but the version", async () => {
    const delivery = await bench.delivered();
    await bench.subscriptions.settle("ann", "bob", delivery, { kind: "retry", failures: 1, delayMs: 0 }, MAX);
    expect(await bench.changed(() => bench.subscriptions.unsubscribe("ann"), Reply.Done)).toEqual({
      subscriptions: { version: "2-T" },
      "sub:ann": "gone",
      "sub-retry:ann": "gone",
    });
    expect(await bench.changed(() => bench.subscriptions.unsubscribe("ann"), Reply.Already)).toEqual({});
  });

  test("subscriptions of the wrong type refuse it", async () => {
    await bench.redis.set(bench.keys.subscriptions(), "not ours");
    await expect(bench.subscriptions.unsubscribe("ann")).rejects.toMatchObject({ code: "wrong_type" });
  });
});
