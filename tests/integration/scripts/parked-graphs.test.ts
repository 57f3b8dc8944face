import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { workflow } from "../../../engine/index.ts";
import { ensureGroups } from "../../../engine/store/group-store.ts";
import { PauseStore } from "../../../engine/store/pause-store.ts";
import { Reply } from "../../../engine/store.ts";
import { take } from "../../../engine/streams.ts";
import type { ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let pauses: PauseStore;
beforeEach(() => {
  bench = new StoreBench();
  pauses = new PauseStore(bench.client, bench.keys);
});
afterEach(() => bench.close());

const tenant = { tenant: "default" };

describe("park, in a graph with branches", () => {
  const wide = workflow("wide", { input: any() })
    .sleep("nap", { after: [], for: 0 })
    .map("map", { after: [], over: () => [1], run: () => null });
  const run = "run:RUN";
  async function park(each: Entry) {
    const before = await bench.state();
    expect(await pauses.park("ann", [each])).toEqual([Reply.Done]);
    return changes(before, await bench.state());
  }
  let nap: Entry;
  let map: Entry;
  const takeOf = async (step: string) => {
    const stream = bench.stream(step, wide);
    await ensureGroups(bench.client, [stream]);
    return (await take(bench.client, "ann", [[stream, 100]]))[0]!;
  };
  const promoteAll = async () => {
    const { due } = await bench.timers.dueTimers(100);
    return bench.timers.promote(due.filter((each): each is ScriptedRow => each.kind === "wake"));
  };
  beforeEach(async () => {
    await bench.store.admit({ id: bench.run, graph: wide.graph, tenant: "default", input: "1" });
    nap = await takeOf("nap");
    map = await takeOf("map");
    await pauses.pause(tenant);
  });

  test("the run waits when nothing else of it goes on, and is queued again after the resume", async () => {
    expect(await park(nap)).toMatchObject({ [run]: { status: "queued", active: "1" } });
    expect(await park(map)).toMatchObject({
      "log:RUN": expect.arrayContaining([expect.stringContaining("run.waiting")]),
      [run]: { status: "waiting", active: "0", unstarted: "1" },
      "runs:default:status:queued": "gone",
      "runs:default:status:waiting": { RUN: "T" },
    });
    await pauses.resume(tenant);
    await pauses.unpark("default");
    expect(await promoteAll()).toEqual([Reply.Done, Reply.Done]);
    const state = await bench.state();
    expect(state).toMatchObject({ [run]: { status: "queued", active: "2" }, delayed: { "wide@1:nap": "0" } });
    expect(state[run]).not.toHaveProperty("unstarted");
    expect(state).toMatchObject({ "runs:default:status:queued": { RUN: "T" } });
  });

  test("what had woken it is in its entry again, and when it started in its record", async () => {
    await bench.commit({
      entry: nap,
      startedAgoMs: 0,
      end: { kind: "park", parking: { reason: "sleep", delayMs: 0 } },
    });
    expect(await promoteAll()).toEqual([Reply.Done]);
    const woken = await takeOf("nap");
    const changed = await park(woken);
    expect(changed).toMatchObject({
      "parked:default": { "wake|parked:sleep|default|RUN|wide|1|nap||E1": "T" },
      [run]: {
        status: "running",
        active: "1",
        "step:nap": "waiting 1 0 0 timer:wake|parked:sleep|default|RUN|wide|1|nap||E1 T - 0",
      },
    });
    await pauses.resume(tenant);
    await pauses.unpark("default");
    expect(await promoteAll()).toEqual([Reply.Done]);
    expect(await takeOf("nap")).toMatchObject({ wake: "sleep" });
    expect(await bench.state()).toMatchObject({
      delayed: { "wide@1:nap": "0" },
      [run]: { active: "2", "step:nap": expect.stringMatching(/^queued 1 0 0 E\d T - 0$/) },
    });
  });

  test("an item: its own record waits, the step and the run do not", async () => {
    await bench.commit({ entry: map, startedAgoMs: 0, end: { kind: "expand", total: 1, limit: 1, first: "" } });
    const item = await takeOf("map");
    expect(item.item).toBe(0);
    const changed = await park(item);
    expect(changed).toEqual({
      delayed: { "wide@1:map": "1" },
      "items:RUN:map": { "0": "waiting 0 0 0 timer:wake|parked|default|RUN|wide|1|map|0|E1 - - 0" },
      "parked:default": { "wake|parked|default|RUN|wide|1|map|0|E1": "T" },
      "step:wide@1:map": [],
    });
    await pauses.resume(tenant);
    await pauses.unpark("default");
    expect(await promoteAll()).toEqual([Reply.Done]);
    expect(await takeOf("map")).toMatchObject({ item: 0, failures: 0, crashes: 0 });
    expect(await bench.state()).toMatchObject({
      delayed: { "wide@1:map": "0" },
      "items:RUN:map": { "0": expect.stringMatching(/^queued 0 0 0 E\d - - 0$/) },
      [run]: { active: "2", status: "running" },
    });
  });

  test.each(["fails", "is cancelled"])("a run that %s takes what is parked with it", async (how) => {
    await bench.commit({ entry: map, startedAgoMs: 0, end: { kind: "expand", total: 1, limit: 1, first: "" } });
    const item = await takeOf("map");
    await park(how === "fails" ? item : nap);
    if (how === "fails") await bench.fail(nap);
    else expect(await bench.store.cancel(bench.run, wide.graph, "default")).toBe(Reply.Done);
    const state = await bench.state();
    expect(state).not.toHaveProperty("parked:default");
    expect(Object.values(state.delayed!)).toEqual(["0"]);
    expect(state).toMatchObject({ "step:wide@1:map": [], "step:wide@1:nap": [] });
  });
});
