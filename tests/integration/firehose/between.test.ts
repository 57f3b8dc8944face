import { any, number, object } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FatalError, type StreamMessage, workflow } from "../../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { Follower } from "../../support/follower.ts";
import { Gates } from "../../support/gates.ts";

const input = any();
let gates: Gates;
let broken: Set<string>;
const failWhile = (what: string) => {
  if (broken.has(what)) throw new FatalError(`${what} is broken`);
};

const plain = workflow("plain", { input }).step("only", () => null);
const fragile = workflow("fragile", { input }).step("try", () => failWhile("try"));
const held = workflow("held", { input }).step("hold", ({ gate }, ctx) => gates.pass(gate, ctx.signal));
const waits = workflow("waits", { input }).waitFor("answer", { schema: any() });
const trip = workflow("trip", { input })
  .step("book", { run: () => 1, undo: () => failWhile("undo") })
  .step("pay", () => {
    throw new FatalError("no money");
  });
const slowUndo = workflow("slow-undo", { input })
  .step("book", { run: () => 1, undo: (_, ctx) => gates.pass("undo", ctx.signal) })
  .step("pay", () => {
    throw new FatalError("no money");
  });
const parent = workflow("parent", { input: object({ n: number() }) })
  .waitFor("go", { schema: any() })
  .child("inner", { workflow: plain, input: ({ data }) => data });
const versions = [1, 2].map((version) =>
  workflow("moves", { version, input })
    .waitFor("go", { schema: any() })
    .step(`end-${version}`, () => version),
);

let bench: EngineUnderTest;
const start = async (definition: { name: string }, value: unknown = null, options = {}) =>
  (await bench.millrace.runs.start(definition.name, value, options)).id;
const ended = async (run: string) => (await bench.ended(run)).seq;
const waiting = (run: string) => bench.until(run, ({ type }) => type === "run.waiting");
const letterOf = async (step: string) => (await bench.millrace.deadLetters.list({ step })).data[0]!.id;

/** What a run has done before its watcher goes away; and what it then does, until it has ended again. */
const cases: [string, (runs: string[]) => Promise<void>, (runs: string[]) => Promise<void>][] = [
  [
    "it had failed, is replayed, and completes",
    async (runs) => {
      runs.push(await start(fragile));
      await ended(runs[0]!);
    },
    async ([run]) => {
      broken.delete("try");
      await bench.millrace.deadLetters.replay(await letterOf("try"));
      await bench.ended(run!);
    },
  ],
  [
    "it had failed, and fails again and again",
    async (runs) => {
      runs.push(await start(fragile));
      await ended(runs[0]!);
    },
    async ([run]) => {
      for (let n = 0; n < 3; n += 1) {
        const { seq } = await bench.millrace.runs.summary(run!);
        await bench.millrace.deadLetters.replay(await letterOf("try"));
        await bench.events(run!, seq);
      }
    },
  ],
  [
    "it had failed and could not be undone, which is done now",
    async (runs) => {
      runs.push(await start(trip));
      await ended(runs[0]!);
    },
    async ([run]) => {
      broken.delete("undo");
      const { seq } = await bench.millrace.runs.summary(run!);
      await bench.millrace.deadLetters.replay(await letterOf("book"));
      await bench.events(run!, seq);
    },
  ],
  [
    "it is undone",
    async (runs) => {
      runs.push(await start(slowUndo));
      await bench.until(runs[0]!, ({ type, data }) => type === "step.started" && data !== undefined);
    },
    async ([run]) => {
      gates.open("undo");
      await bench.ended(run!);
    },
  ],
  [
    "it waits, and is cancelled",
    async (runs) => {
      runs.push(await start(waits));
      await waiting(runs[0]!);
    },
    async ([run]) => {
      await bench.millrace.runs.cancel(run!);
      await bench.ended(run!);
    },
  ],
  [
    "it is cancelled before its time has come",
    async (runs) => {
      runs.push(await start(plain, null, { delayMs: 3_600_000 }));
    },
    async ([run]) => {
      await bench.millrace.runs.cancel(run!);
      await bench.ended(run!);
    },
  ],
  [
    "its time comes",
    async (runs) => {
      runs.push(await start(plain, null, { delayMs: 1_000 }));
    },
    async ([run]) => {
      await bench.ended(run!);
    },
  ],
  [
    "it does not keep its deadline",
    async (runs) => {
      runs.push(await start(waits, null, { deadlineMs: 500 }));
      await waiting(runs[0]!);
    },
    async ([run]) => {
      await bench.ended(run!);
    },
  ],
  [
    "it starts a child, and both end",
    async (runs) => {
      runs.push(await start(parent, { n: 1 }));
      await waiting(runs[0]!);
    },
    async (runs) => {
      await bench.millrace.runs.signal(runs[0]!, "go", 1);
      await bench.ended(runs[0]!);
      const children = (await bench.millrace.runs.list({ workflow: "plain" })).data;
      runs.push(...children.map(({ id }) => id));
      expect(children).toHaveLength(1);
    },
  ],
  [
    "it is run again from its beginning",
    async (runs) => {
      runs.push(await start(plain));
      await ended(runs[0]!);
    },
    async (runs) => {
      const again = await bench.millrace.runs.rerun(runs[0]!, { from: "only" });
      runs.push(again.id);
      await bench.ended(again.id);
    },
  ],
  [
    "it moves to another version",
    async (runs) => {
      await using old = await engineUnderTest([versions[0]!], { namespace: bench.namespace });
      runs.push((await old.millrace.runs.start("moves", null)).id);
      await waiting(runs[0]!);
    },
    async ([run]) => {
      await bench.millrace.migrate({ workflow: "moves", from: 1, to: 2 });
      await bench.millrace.runs.signal(run!, "go", 1);
      await bench.ended(run!);
    },
  ],
];

async function begun(follower: Follower): Promise<() => Promise<void>> {
  const before = follower.cursors;
  const following = follower.follow();
  await follower.until("it has begun", () => follower.cursors > before);
  return async () => {
    follower.cut();
    await following;
  };
}

describe.each([1, 16])("with %i partitions, while nobody watches,", (partitions) => {
  beforeEach(async () => {
    gates = new Gates();
    broken = new Set(["try", "undo"]);
    bench = await engineUnderTest([plain, fragile, held, waits, trip, slowUndo, parent, ...versions], { partitions });
    await bench.worker();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  test.each(cases)("%s: all of that is told", async (_, before, meanwhile) => {
    const runs: string[] = [];
    await before(runs);
    const follower = new Follower(bench.millrace);
    for (const run of runs) follower.told.set(run, (await bench.millrace.runs.summary(run)).seq);
    await (await begun(follower))();
    await meanwhile(runs);
    // Others come and go as well, so that it is not found as one of the last.
    await bench.ended(await start(plain));
    const leave = await begun(follower);
    const last = new Map<string, number>();
    for (const run of runs) last.set(run, (await bench.millrace.runs.summary(run)).seq);
    await follower.until("all was told", () => runs.every((run) => follower.told.get(run) === last.get(run)));
    await leave();
    expect(follower.resets).toEqual([]);
  });

  test("a run ends and is deleted: who watched its workflow begins anew, who watches another does not", async () => {
    const [all, others] = [new Follower(bench.millrace), new Follower(bench.millrace, { workflows: ["held"] })];
    for (const each of [all, others]) await (await begun(each))();
    const run = await start(plain);
    await bench.ended(run);
    await bench.millrace.runs.delete(run);
    const live = await start(held, { gate: "later" });
    await bench.until(live, ({ type }) => type === "step.started");
    const leave = await Promise.all([all, others].map(begun));
    gates.open("later");
    for (const each of [all, others]) await each.until("it has ended", () => each.ended.has(live));
    for (const each of leave) await each();
    expect(all.resets).toEqual([{ type: "reset", runs: [expect.objectContaining({ id: live })], more: false }]);
    expect(others.resets).toEqual([]);
  });
});

test("a run that is deleted and started anew by its key, as somebody watches, is told of from its beginning", async () => {
  gates = new Gates();
  bench = await engineUnderTest([held]);
  await using _ = bench;
  await bench.worker();
  const idempotency = { key: "once", scope: "test", digest: "" };
  const abort = new AbortController();
  const heard: StreamMessage[] = [];
  const watching = (async () => {
    for await (const message of bench.millrace.watchAll({ signal: abort.signal })) heard.push(message);
  })();
  await expect.poll(() => heard.length).toBeGreaterThan(0);
  gates.open("first");
  const run = await start(held, { gate: "first" }, { idempotency });
  await bench.ended(run);
  await expect.poll(() => heard.some(({ type }) => type === "run.completed")).toBe(true);
  const before = heard.length;
  const told = () => heard.slice(before).filter((message) => "run" in message && message.run === run);
  await bench.millrace.runs.delete(run);
  expect(await start(held, { gate: "first" }, { idempotency })).toBe(run);
  const { seq } = await bench.ended(run);
  await expect.poll(() => told().at(-1)).toMatchObject({ seq });
  // A moment later it would be `run.queued`, with the number 1.
  expect(told()[0]).toMatchObject({ run, type: expect.stringMatching(/^(?:reset|run\.queued)$/) });
  abort.abort();
  await watching;
});
