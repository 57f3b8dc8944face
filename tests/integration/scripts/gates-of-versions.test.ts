import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { planMigration } from "../../../engine/migration-plan.ts";
import { MigrationStore } from "../../../engine/store/migration-store.ts";
import { VersionStore } from "../../../engine/store/version-store.ts";
import { Reply } from "../../../engine/store.ts";
import { GateBench } from "../../support/gate-bench.ts";

const done = { kind: "complete", output: "1" } as const;
const next = workflow("flow", { version: 2, input: any() }).step("work", { limits: { concurrency: 1 }, run: () => 0 });

let bench: GateBench;
beforeEach(async () => {
  bench = await new GateBench({ key: String, concurrency: 1 }).open();
});
afterEach(() => bench.close());

/** Entries of one millisecond in two streams have one id, so which number it has in the table is not told. */
const QUEUED = expect.stringMatching(/^queued 1 0 0 E\d - - 0$/);
const entryOf = (name: string) =>
  expect.stringMatching(new RegExp(`^E\\d run=${name} tenant=default input= failures=0 crashes=0$`));
const run = (fields: Record<string, string>) => expect.objectContaining(fields);

describe("migrate of a run whose step has limits", () => {
  async function move(name: string, meanwhile?: () => Promise<unknown>): Promise<Reply> {
    const record = (await bench.store.readRun(bench.names[name]!, "default"))!;
    const place = record.fields["step:work"]!.split(" ")[4]!;
    const from = bench.workflow.graph;
    const steps = new Map([["work", { status: "queued", place, hadItems: false } as const]]);
    const plan = planMigration(from, next.graph, steps, { at: ["work"], given: new Set() });
    if (typeof plan === "string") throw new Error(plan);
    await meanwhile?.();
    const migration = { record, from, to: next.graph, steps, plan, outputs: new Map(), input: undefined };
    return new MigrationStore(bench.store).migrate(migration);
  }
  const moved = (name: string, reply: Reply) => bench.change(async () => expect(await move(name)).toBe(reply));

  test("with a slot that nobody has taken up: it is free, and the next has it", async () => {
    await bench.come("a", "ONE");
    await bench.come("a", "TWO");
    expect(await moved("ONE", Reply.Done)).toEqual({
      "gate:flow@1:work": run({ "h TWO ": expect.stringMatching(/^a E\d 2$/) }),
      "gate:flow@1:work:held": { "a|TWO|": "0" },
      "gate:flow@1:work:waiting": "gone",
      "run:ONE": run({ status: "queued", version: "2", "step:work": QUEUED }),
      "slots:flow@1:work": [expect.stringMatching(/^E\d run=TWO tenant=default input=$/)],
      "step:flow@2:work": [entryOf("ONE")],
    });
  });

  test("with a ticket: that is gone, and the run is queued again", async () => {
    await bench.come("a", "ONE");
    await bench.come("a", "TWO");
    const changed = await moved("TWO", Reply.Done);
    expect(changed).toMatchObject({
      "gate:flow@1:work:waiting": "gone",
      "run:TWO": { status: "queued", version: "2", "step:work": QUEUED, active: "1" },
      "step:flow@2:work": [entryOf("TWO")],
    });
    expect(changed["run:TWO"]).not.toHaveProperty("unstarted");
    expect(changed).not.toHaveProperty("slots:flow@1:work");
  });

  test("with a slot that it was given since it waited: its entry goes, unless somebody has it in hand", async () => {
    const entry = await bench.two();
    await bench.commit({ entry, end: done });
    const changed = await moved("TWO", Reply.Done);
    expect(changed).toMatchObject({ "gate:flow@1:work:held": "gone", "slots:flow@1:work": [] });
    expect(changed["gate:flow@1:work"]).not.toHaveProperty("h TWO ");

    await bench.come("a", "THREE");
    await bench.come("a", "FOUR");
    const [third] = await bench.take(bench.passed);
    await bench.commit({ entry: third!, end: done });
    await bench.take(bench.passed);
    expect(await moved("FOUR", Reply.NotOwner)).toEqual({});
  });

  test.each(["gate", "waiting", "slots"])("a key of the wrong type refuses it: %s", async (which) => {
    await bench.come("a", "ONE");
    const { graph } = bench.workflow;
    const key = {
      gate: bench.keys.gate(graph, "work"),
      waiting: bench.keys.gateWaiting(graph, "work"),
      slots: bench.keys.slots(graph, "work", "high"),
    }[which]!;
    let before = {};
    const meanwhile = async () => {
      await bench.redis.del(key);
      await bench.redis.set(key, "not ours");
      before = await bench.state();
    };
    expect(await move("ONE", meanwhile)).toBe(Reply.WrongType);
    expect(await bench.state()).toEqual(before);
  });
});

describe("retire-version", () => {
  const retire = () => new VersionStore(bench.client, bench.keys).retire(bench.workflow.graph);

  test("while something has a slot or waits for one the version stays; then its gate goes with its streams", async () => {
    const entry = await bench.two();
    expect(await bench.change(async () => expect(await retire()).toBe(Reply.Stale))).toEqual({});
    await bench.commit({ entry, end: done });
    const [next] = await bench.take(bench.passed);
    expect(await bench.change(async () => expect(await retire()).toBe(Reply.Stale))).toEqual({});
    await bench.commit({ entry: next!, end: done });
    await bench.redis.zadd(bench.keys.timers(), 1, "gate|flow|1|work");
    expect(await bench.change(async () => expect(await retire()).toBe(Reply.Done))).toEqual({
      "gate:flow@1:work": "gone",
      "slots:flow@1:work": "gone",
      "step:flow@1:work": "gone",
      timers: "gone",
    });
  });
});
