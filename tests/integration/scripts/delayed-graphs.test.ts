import { any } from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { Reply } from "../../../engine/store.ts";
import type { ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

const { graph } = workflow("fan", { input: any() })
  .step("left", { after: [], run: () => 1 })
  .waitFor("right", { after: [], schema: any() })
  .step("join", { after: ["left", "right"], run: () => 2 });

let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

const admit = (delayMs: number, deadlineMs?: number) => {
  const terms = { start: { inMs: delayMs }, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
  return bench.store.admit({ id: bench.run, graph, tenant: "default", input: "1", terms });
};
const row = (step: string) => `wake|delay|default|${bench.run}|fan|1|${step}||`;

test("no step of a graph that starts later is at work: each waits at a row of its own", async () => {
  await admit(60_000);
  expect(await bench.state()).toMatchObject({
    delayed: { "fan@1:left": "1", "fan@1:right": "1" },
    "run:RUN": {
      ...{ status: "queued", active: "0" },
      "step:left": "waiting 0 0 0 timer:wake|delay|default|RUN|fan|1|left|| - - 0",
      "step:right": "waiting 0 0 0 timer:wake|delay|default|RUN|fan|1|right|| - - 0",
    },
    timers: { "wake|delay|default|RUN|fan|1|left||": "T", "wake|delay|default|RUN|fan|1|right||": "T" },
  });
});

test("one that starts at once has its steps at work, whatever its options", async () => {
  await admit(0, 1_000);
  expect(await bench.state()).toMatchObject({
    "run:RUN": { active: "2" },
    timers: { "expire|RUN|fan|1|deadline": "T" },
  });
});

test("when they are due they are at work, and counted so; the run is queued until one is told to have started", async () => {
  await admit(60_000);
  for (const step of ["left", "right"]) await bench.redis.zadd(bench.keys.timers(), 1, row(step));
  const before = await bench.state();
  const { due } = await bench.timers.dueTimers(10);
  expect(await bench.timers.promote(due as ScriptedRow[])).toEqual([Reply.Done, Reply.Done]);
  expect(changes(before, await bench.state())).toEqual({
    delayed: { "fan@1:left": "0", "fan@1:right": "0" },
    "run:RUN": expect.objectContaining({
      ...{ status: "queued", active: "2" },
      "step:left": expect.stringMatching(/^queued 0 0 0 E\d - - 0$/),
      "step:right": expect.stringMatching(/^queued 0 0 0 E\d - - 0$/),
    }),
    "step:fan@1:left": [expect.stringContaining("run=RUN tenant=default input=")],
    "step:fan@1:right": [expect.stringContaining("run=RUN tenant=default input=")],
    timers: "gone",
  });
});

test("a signal that comes before the start is kept, and puts nothing into a stream", async () => {
  await admit(60_000);
  const before = await bench.state();
  expect(
    await bench.store.signal({ run: bench.run, graph, tenant: "default", step: "right", key: "key", stored: "7" }),
  ).toBe(Reply.Done);
  expect(changes(before, await bench.state())).toEqual({
    "run:RUN": expect.objectContaining({ "signal:right": "7", "signalled:right": "key", active: "0" }),
  });
});

test("one that is cancelled before it starts leaves no row, neither of its steps nor of its limits", async () => {
  await admit(60_000, 1_000);
  expect(await bench.store.cancel(bench.run, graph, "default")).toBe(Reply.Done);
  expect(await bench.state()).toMatchObject({
    delayed: { "fan@1:left": "0", "fan@1:right": "0" },
    "run:RUN": { status: "cancelled", "step:left": "cancelled 0 0 0 - - T 0" },
  });
  expect(await bench.redis.exists(bench.keys.timers())).toBe(0);
});
