import { afterEach, describe, expect, test } from "vitest";
import type { Limits } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import { GateBench } from "../../support/gate-bench.ts";

const ONE: Limits<unknown> = { key: String, concurrency: 1 };
const error = { name: "Error", message: "no" };
const done = { kind: "complete", output: "1" } as const;

let bench: GateBench;
afterEach(() => bench.close());

async function open(limits: Limits<unknown> = ONE): Promise<void> {
  bench = await new GateBench(limits).open();
}

const run = (fields: Record<string, string>) => expect.objectContaining(fields);
const key = {
  waiting: () => bench.keys.gateWaiting(bench.workflow.graph, "work"),
  slots: () => bench.keys.slots(bench.workflow.graph, "work", "normal"),
};
/** The ids of entries are named in the order of the keys: those of runs come first. */
const TICKET = "a|10000001000001|TWO||default|0|0|2";

/** ONE is at work, TWO waits behind it. */
async function two() {
  await open();
  return bench.two();
}

describe("commit of what is to pass a gate", () => {
  test("with room: it has a slot, and its entry is in the stream of those", async () => {
    await open();
    const one = await bench.admit("ONE");
    const changed = await bench.change(() => bench.gate(() => "a"));
    expect(changed).toEqual({
      "gate:flow@1:work": { "h ONE ": "a E1 2", limits: "1 - - - - - - -" },
      "gate:flow@1:work:held": { "a|ONE|": "0" },
      "run:ONE": run({ status: "queued", active: "1", "step:work": "queued 1 0 0 E1 - - 0" }),
      "slots:flow@1:work": ['E1 run=ONE tenant=default input="in"'],
      "step:flow@1:work": [],
    });
    expect(one).toBe(bench.names.ONE);
  });

  test("without: it has a ticket, the run waits, and a look for lost holders is set", async () => {
    await open();
    await bench.come("a", "ONE");
    await bench.admit("TWO");
    expect(await bench.change(() => bench.gate(() => "a"))).toEqual({
      "gate:flow@1:work": expect.objectContaining({ tickets: "1" }),
      "gate:flow@1:work:waiting": { [TICKET]: "0" },
      "run:TWO": run({
        status: "waiting",
        unstarted: "1",
        active: "0",
        "step:work": `waiting 1 0 0 gate:${TICKET} - - 0`,
      }),
      "step:flow@1:work": [],
      timers: { "gate|flow|1|work": "T" },
    });
    const { nextMs } = await bench.timers.dueTimers(1);
    expect(nextMs).toBeGreaterThan(50_000);
  });

  test("what was tried before is in front of what was not", async () => {
    await open();
    await bench.come("a", "ONE");
    await bench.come("a", "TWO");
    const again = await bench.admit("AGAIN");
    const [entry] = await bench.take(bench.before);
    await bench.commit({ entry: entry!, end: { kind: "retry", error, delayMs: 0 } });
    await bench.tick();
    await bench.gate(() => "a");
    const waiting = await bench.redis.zrange(key.waiting(), "0", "-1");
    expect(waiting.map((ticket) => ticket.split("|")[2])).toEqual([again, bench.names.TWO]);
    expect(waiting[0]).toMatch(/^a\|00000001000002\|.*\|default\|1\|0\|2$/);
  });

  test("a key of the gate of another type: nothing is written", async () => {
    await open();
    await bench.admit("ONE");
    await bench.redis.set(key.waiting(), "not ours");
    expect(await bench.change(async () => expect(await bench.gate(() => "a")).toEqual([Reply.WrongType]))).toEqual({
      "step:flow@1:work": [expect.stringMatching(/^E1 /), "pending E1 ann 1"],
    });
  });
});

describe("the end of what has a slot", () => {
  test.each([
    ["completed", done],
    ["failed for good", { kind: "dead", error }],
    ["is to be tried again", { kind: "retry", error, delayMs: 60_000 }],
  ] as const)("%s: the next has it, in the same script; its run is not touched", async (_, end) => {
    const entry = await two();
    const changed = await bench.change(() => bench.commit({ entry, end }));
    expect(changed).toMatchObject({
      "gate:flow@1:work": { limits: "1 - - - - - - -", "h TWO ": expect.stringMatching(/^a E\d 2$/) },
      "gate:flow@1:work:held": { "a|TWO|": "0" },
      "gate:flow@1:work:waiting": "gone",
      "slots:flow@1:work": [expect.stringMatching(/^E\d run=TWO tenant=default input=$/)],
    });
    expect(changed).not.toHaveProperty("run:TWO");
  });

  test("given back: it keeps its slot, and its new entry is in the same stream", async () => {
    const entry = await two();
    const changed = await bench.change(() => bench.commit({ entry, end: { kind: "release" } }));
    expect(changed).toEqual({
      "run:ONE": run({ "step:work": expect.stringMatching(/^queued 1 0 0 E\d - - 0$/) }),
      "slots:flow@1:work": [expect.stringMatching(/^E\d run=ONE /)],
    });
  });

  test("sent back before the gate: its slot is the next one's", async () => {
    const entry = await two();
    expect(await bench.change(() => bench.commit({ entry, end: { kind: "leave" } }))).toMatchObject({
      "gate:flow@1:work:held": { "a|TWO|": "0" },
      "run:ONE": run({ "step:work": expect.stringMatching(/^queued 1 0 0 E\d - - 0$/) }),
      "step:flow@1:work": [expect.stringMatching(/^E\d run=ONE /)],
    });
  });

  test("the first commit of one that was let in: it is at work, and so is its run, which has not begun before", async () => {
    await letIn();
    const [entry] = await bench.take(bench.passed);
    expect(await bench.change(() => bench.commit({ entry: entry!, startedAgoMs: 0 }))).toEqual({
      "run:TWO": run({
        status: "running",
        active: "1",
        "step:work": expect.stringMatching(/^running 1 0 0 E\d T - 0$/),
      }),
    });
    expect(await bench.redis.hexists(bench.keys.run(bench.names.TWO!), "unstarted")).toBe(0);
    const log = await bench.redis.lrange(bench.keys.log(bench.names.TWO!), 0, -1);
    expect(log.map((line) => JSON.parse(line.slice(line.indexOf(" "))).type)).toEqual([
      ...["run.queued", "run.waiting", "run.started", "step.started"],
    ]);
  });

  test("another entry of one that was let in is refused", async () => {
    await letIn();
    await bench.redis.xadd(key.slots(), "*", "run", bench.names.TWO!, "tenant", "default", "input", "");
    const [, other] = await bench.take(bench.passed);
    expect(
      await bench.change(async () => expect(await bench.commit({ entry: other!, end: done })).toBe(Reply.Stale)),
    ).toEqual({
      "slots:flow@1:work": [expect.stringMatching(/^E1 run=TWO/), "pending E1 ann 1"],
    });
  });

  test("a run that is gone leaves no slot behind", async () => {
    const entry = await two();
    await bench.redis.unlink(bench.keys.run(bench.names.ONE!));
    const changed = await bench.change(async () =>
      expect(await bench.commit({ entry, end: done })).toBe(Reply.UnknownRun),
    );
    expect(changed).toMatchObject({ "gate:flow@1:work:held": { "a|TWO|": "0" }, "gate:flow@1:work:waiting": "gone" });
  });

  test("what was spent is taken off the key's tokens and those of all; the next waits until they are back", async () => {
    await open({ key: String, tokens: { perMinute: 600 }, total: { tokens: { perMinute: 6_000 } } });
    await bench.come("a", "ONE");
    const [entry] = await bench.take(bench.passed);
    await bench.commit({ entry: entry!, startedAgoMs: 0, spent: 800, end: done });
    const { "gate:flow@1:work": gate } = await bench.state();
    expect(gate).toMatchObject({ "t a": "-200.000 T", "t *": "5200.000 T" });
    await bench.come("a", "TWO");
    await bench.come("b", "OTHER");
    expect((await bench.take(bench.passed)).map((each) => each.run)).toEqual([bench.names.OTHER]);
    // 201 tokens, at ten in a second.
    const nextMs = await bench.tick();
    expect(nextMs).toBeGreaterThan(15_000);
    expect(nextMs).toBeLessThanOrEqual(20_100);
    await bench.client.forward(nextMs!);
    await bench.tick();
    expect((await bench.take(bench.passed)).map((each) => each.run)).toEqual([bench.names.TWO]);
  });
});

/** TWO has the slot that ONE gave up, and has not begun. */
async function letIn(): Promise<void> {
  const entry = await two();
  await bench.commit({ entry, end: done });
}

describe("cancel", () => {
  const cancel = (name: string) => bench.store.cancel(bench.names[name]!, bench.workflow.graph, "default");

  test("takes the ticket of what waits", async () => {
    await two();
    expect(await bench.change(() => cancel("TWO"))).toMatchObject({
      "gate:flow@1:work:waiting": "gone",
      "run:TWO": run({ status: "cancelled", "step:work": "cancelled 1 0 0 - - T 0" }),
    });
  });

  test("takes the entry of what was let in and has not begun, and its slot", async () => {
    await letIn();
    expect(await bench.change(() => cancel("TWO"))).toMatchObject({
      "gate:flow@1:work": { limits: "1 - - - - - - -" },
      "gate:flow@1:work:held": "gone",
      "slots:flow@1:work": [],
    });
  });

  test("takes what is at work off its entry: its slot is the next one's", async () => {
    await two();
    expect(await bench.change(() => cancel("ONE"))).toMatchObject({
      "gate:flow@1:work:held": { "a|TWO|": "0" },
      "slots:flow@1:work": [expect.stringMatching(/^E\d run=TWO/)],
    });
  });

  test("with a key of the gate of another type nothing is written", async () => {
    await two();
    await bench.redis.unlink(key.waiting());
    await bench.redis.set(key.waiting(), "not ours");
    expect(await bench.change(async () => expect(await cancel("ONE")).toBe(Reply.WrongType))).toEqual({});
  });
});
