import { afterEach, describe, expect, test } from "vitest";
import type { Limits } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import { GateBench } from "../../support/gate-bench.ts";

const ONE: Limits<unknown> = { key: String, concurrency: 1 };
const done = { kind: "complete", output: "1" } as const;
/** The ids of entries are named in the order of the keys: those of runs come first. */
const TICKET = "a|10000001000001|TWO||default|0|0|2";

let bench: GateBench;
afterEach(() => bench.close());

async function open(): Promise<void> {
  bench = await new GateBench(ONE).open();
}

const run = (fields: Record<string, string>) => expect.objectContaining(fields);

describe("admission of a run of which it is known whose it is", () => {
  test("with room: it has a slot at once, and no worker has to look at it first", async () => {
    await open();
    expect(await bench.change(() => bench.admit("ONE", "a"))).toEqual({
      "gate:flow@1:work": { "h ONE ": "a E1 2", limits: "1 - - - - - - -" },
      "gate:flow@1:work:held": { "a|ONE|": "0" },
      "run:ONE": run({ status: "queued", active: "1", "step:work": "queued 0 0 0 E1 - - 0" }),
      "slots:flow@1:work": ['E1 run=ONE tenant=default input="in"'],
    });
  });

  test("without: it has a ticket, and the run waits and says so", async () => {
    await open();
    await bench.admit("ONE", "a");
    expect(await bench.change(() => bench.admit("TWO", "a"))).toEqual({
      "gate:flow@1:work": expect.objectContaining({ tickets: "1" }),
      "gate:flow@1:work:waiting": { [TICKET]: "0" },
      "run:TWO": run({
        status: "waiting",
        unstarted: "1",
        active: "0",
        "step:work": `waiting 0 0 0 gate:${TICKET} - - 0`,
      }),
      timers: { "gate|flow|1|work": "T" },
    });
    const two = bench.names.TWO!;
    expect(await bench.redis.zscore(bench.keys.runsByStatus("default", "waiting"), two)).not.toBeNull();
    expect(await bench.redis.zscore(bench.keys.runsByStatus("default", "queued"), two)).toBeNull();
    expect((await bench.state())["log:TWO"]).toEqual(['T {"type":"run.queued"}', 'T {"type":"run.waiting"}']);
  });

  test("it stands behind no backlog of another key, whether anybody takes that or not", async () => {
    await open();
    for (let n = 0; n < 150; n += 1) await bench.admit(undefined, "noisy");
    for (let n = 0; n < 150; n += 1) await bench.admit();
    const quiet = await bench.admit("QUIET", "quiet");
    expect((await bench.take(bench.passed)).map((entry) => entry.run)).toContain(quiet);
  });

  test("a run that waited since its admission begins when the slot is free", async () => {
    await open();
    await bench.admit("ONE", "a");
    const [entry] = await bench.take(bench.passed);
    await bench.commit({ entry: entry!, startedAgoMs: 0 });
    await bench.admit("TWO", "a");
    await bench.commit({ entry: entry!, end: done });
    const [second] = await bench.take(bench.passed);
    expect(second!.run).toBe(bench.names.TWO);
    await bench.commit({ entry: second!, startedAgoMs: 0 });
    expect((await bench.state())["run:TWO"]).toMatchObject({ status: "running", active: "1" });
    expect(await bench.commit({ entry: second!, end: done })).toBe(Reply.Done);
    expect((await bench.state())["run:TWO"]).toMatchObject({ status: "completed" });
  });

  test("while no worker has said what the limits are, it comes to the step's own stream", async () => {
    bench = new GateBench(ONE);
    await bench.admit("ONE", "a");
    expect(await bench.state()).toMatchObject({
      "run:ONE": { "step:work": "queued 0 0 0 E1 - - 0" },
      "step:flow@1:work": ['E1 run=ONE tenant=default input="in"'],
    });
  });

  test("a repeated call changes nothing, and a key of another type refuses it", async () => {
    await open();
    const id = await bench.admit("ONE", "a");
    const again = { id, graph: bench.workflow.graph, tenant: "default", input: '"in"' };
    const gateKeys = new Map([["work", "a"]]);
    expect(await bench.change(async () => expect(await bench.store.admit({ ...again, gateKeys })).toBe(false))).toEqual(
      {},
    );
    await bench.redis.del(bench.keys.gateWaiting(bench.workflow.graph, "work"));
    await bench.redis.set(bench.keys.gateWaiting(bench.workflow.graph, "work"), "not ours");
    const refused = bench.admit("TWO", "a");
    await expect(refused).rejects.toMatchObject({ code: "wrong_type" });
  });
});
