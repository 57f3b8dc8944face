import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import type { Delivery } from "../../../engine/subscriptions/delivery.ts";
import { changes } from "../../support/state.ts";
import { QUEUED, SubscriptionBench, settings } from "../../support/subscription-bench.ts";

let bench: SubscriptionBench;
beforeEach(() => {
  bench = new SubscriptionBench();
});
afterEach(() => bench.close());

const error = { name: "Error", message: "no" };
const MAX = settings.maxBytes;

describe("settle-delivery", () => {
  const settle = (delivery: Delivery, ending: Parameters<typeof bench.subscriptions.settle>[3], consumer = "bob") =>
    bench.subscriptions.settle("ann", consumer, delivery, ending, MAX);

  test("done: it is gone", async () => {
    const delivery = await bench.delivered();
    const settled = await bench.changed(() => settle(delivery, { kind: "done", failures: 0 }), Reply.Done);
    expect(settled).toEqual({ "sub:ann": [] });
    expect(await settle(delivery, { kind: "done", failures: 0 })).toBe(Reply.NotOwner);
  });

  test("retry: it waits for its time, with its failures", async () => {
    const delivery = { ...(await bench.delivered()), crashes: 2 };
    expect(
      await bench.changed(() => settle(delivery, { kind: "retry", failures: 1, delayMs: 5_000 }), Reply.Done),
    ).toEqual({
      "sub:ann": [],
      "sub-retry:ann": { 'RUN|1|default|two|1|1|2|T {"type":"run.queued"}': "T" },
    });
  });

  test("dead: it is a dead letter, with its attempts and the error", async () => {
    const delivery = await bench.delivered();
    expect(await bench.changed(() => settle(delivery, { kind: "dead", failures: 5, error }), Reply.Done)).toEqual({
      "sub:ann": [],
      "sub-dead:ann": [expect.stringContaining(`${QUEUED} attempts=5 error=${JSON.stringify(error)}`)],
    });
  });

  test("release: it is back in the stream, uncharged", async () => {
    const delivery = await bench.delivered();
    expect(await bench.changed(() => settle(delivery, { kind: "release", failures: 3 }), Reply.Done)).toEqual({
      "sub:ann": [expect.stringContaining(`${QUEUED} failures=3 crashes=0`)],
    });
  });

  test("what is another's, or was delivered again, is refused", async () => {
    const delivery = await bench.delivered();
    const done = { kind: "done", failures: 0 } as const;
    expect(await bench.changed(() => settle(delivery, done, "eve"), Reply.NotOwner)).toEqual({});
    expect(await bench.changed(() => settle({ ...delivery, count: 2 }, done), Reply.NotOwner)).toEqual({});
    expect(await bench.changed(() => settle({ ...delivery, id: "1-1" }, done), Reply.NotOwner)).toEqual({});
    await bench.subscriptions.unsubscribe("ann");
    expect(await bench.changed(() => settle(delivery, done), Reply.NotOwner)).toEqual({});
  });

  test.each(["redeliveries", "undelivered"] as const)("%s of the wrong type refuse it", async (key) => {
    const delivery = await bench.delivered();
    await bench.redis.set(bench.keys[key]("ann"), "not ours");
    const before = await bench.state();
    await expect(settle(delivery, { kind: "done", failures: 0 })).rejects.toMatchObject({ code: "wrong_type" });
    expect(changes(before, await bench.state())).toEqual({});
  });

  test("too many bytes of dead letters pause the subscription", async () => {
    await bench.subscribe();
    for (let i = 0; i < 64; i += 1) await bench.admit(newRunId(0));
    for (const each of await bench.subscriptions.read(bench.client, "ann", "bob", 64, 1))
      await bench.subscriptions.settle("ann", "bob", each, { kind: "dead", failures: 1, error }, 1_000);
    expect((await bench.subscriptions.standing("ann"))[1]).toMatch(/^dead_letters \d{13}$/);
    await bench.admit();
    expect((await bench.state())["sub:ann"]).toEqual([]);
  });
});

describe("redeliver", () => {
  test("what is due is back in the stream, with its failures and crashes; what is not waits", async () => {
    const delivery = await bench.delivered();
    await bench.subscriptions.settle("ann", "bob", delivery, { kind: "retry", failures: 1, delayMs: 60_000 }, MAX);
    const { waiting, nextMs } = await bench.subscriptions.redeliver("ann");
    expect([waiting, nextMs! > 50_000]).toEqual([1, true]);

    const key = bench.keys.redeliveries("ann");
    await bench.redis.zadd(key, 1, (await bench.redis.zrange(key, "0", "0"))[0]!);
    expect(await bench.changed(() => bench.subscriptions.redeliver("ann"), { waiting: 0 })).toEqual({
      "sub-retry:ann": "gone",
      "sub:ann": [expect.stringContaining(`${QUEUED} failures=1 crashes=0`)],
    });
    const [again] = await bench.subscriptions.read(bench.client, "ann", "bob", 1, 1);
    expect(again).toEqual({ ...delivery, id: again!.id, failures: 1 });
  });

  test("a line that holds the separator comes back whole", async () => {
    await bench.subscribe({ ...settings, events: ["step.output"] });
    const entry = await bench.held();
    const event = JSON.stringify({ type: "step.output", step: "a", data: { text: "a|b|c" } });
    await bench.commit({ entry, startedAgoMs: 0, batch: 1, events: [event] });
    const [delivery] = await bench.subscriptions.read(bench.client, "ann", "bob", 1, 1);
    await bench.subscriptions.settle("ann", "bob", delivery!, { kind: "retry", failures: 1, delayMs: 0 }, MAX);
    await bench.subscriptions.redeliver("ann");
    const [again] = await bench.subscriptions.read(bench.client, "ann", "bob", 1, 1);
    expect(again!.event).toEqual(delivery!.event);
  });

  test("a stream of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.subscription("ann"), "not ours");
    await expect(bench.subscriptions.redeliver("ann")).rejects.toMatchObject({ code: "wrong_type" });
  });
});

describe("take-undelivered", () => {
  async function dead(): Promise<string> {
    const delivery = await bench.delivered();
    await bench.subscriptions.settle("ann", "bob", delivery, { kind: "dead", failures: 5, error }, MAX);
    const [[id]] = (await bench.subscriptions.undelivered("ann", "+", 10)) as [[string, unknown]];
    return id;
  }

  test("replay: it is back in the stream, counted anew", async () => {
    const id = await dead();
    expect(await bench.changed(() => bench.subscriptions.takeUndelivered("ann", "replay", [id]), 1)).toEqual({
      "sub-dead:ann": [],
      "sub:ann": [expect.stringMatching(/"\}$/)],
    });
    expect(await bench.changed(() => bench.subscriptions.takeUndelivered("ann", "replay", [id]), 0)).toEqual({});
  });

  test("discard: it is gone", async () => {
    const id = await dead();
    expect(await bench.changed(() => bench.subscriptions.takeUndelivered("ann", "discard", [id, "1-1"]), 1)).toEqual({
      "sub-dead:ann": [],
    });
  });

  test("a stream of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.undelivered("ann"), "not ours");
    await expect(bench.subscriptions.takeUndelivered("ann", "replay", ["1-1"])).rejects.toMatchObject({
      code: "wrong_type",
    });
  });
});
