import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { StoreBench } from "../../support/store.ts";

const other = newRunId(0);
let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

describe("admit", () => {
  test("a new run is stored, put into its first stream, indexed and told of", async () => {
    expect(await bench.admit()).toBe(true);
    expect(await bench.state()).toEqual({
      "log:RUN": ['T {"type":"run.queued"}'],
      "run:RUN": {
        workflow: "two",
        version: "1",
        tenant: "default",
        status: "queued",
        createdAt: "T",
        trimmed: "0",
        input: '{"n":1}',
        "step:a": "queued 0 0 0 E1 - - 0",
      },
      "runs:default:status:queued": { RUN: "T" },
      "runs:default:workflow:two": { RUN: "T" },
      "step:two@1:a": ['E1 run=RUN tenant=default input={"n":1}'],
    });
  });

  test("a large input is not carried in the entry", async () => {
    const input = JSON.stringify("x".repeat(3_000));
    await bench.store.admit({
      id: bench.run,
      graph: { workflow: "w", version: 2, steps: [{ name: "s", after: [] }] },
      tenant: "t",
      input,
      metadata: '{"k":[]}',
    });
    const state = await bench.state();
    expect(state["step:w@2:s"]).toEqual(["E1 run=RUN tenant=t input="]);
    expect(state["run:RUN"]).toMatchObject({ input, metadata: '{"k":[]}' });
  });

  test("what comes before there is a group is delivered", async () => {
    await bench.admit();
    expect(await bench.take("a")).toMatchObject([{ run: bench.run, count: 1 }]);
  });

  test("a run that is there is left as it is, whatever has become of it", async () => {
    await bench.fail(await bench.held());
    const before = await bench.state();
    expect(await bench.admit()).toBe(false);
    expect(await bench.state()).toEqual(before);
  });

  test("a run that starts later waits at a timer row, and is counted so", async () => {
    const due = Date.now() + 60_000;
    await bench.admit(bench.run, "default", { start: { atMs: due } });
    expect(await bench.state()).toEqual({
      delayed: { "two@1:a": "1" },
      "log:RUN": ['T {"type":"run.queued"}'],
      "run:RUN": {
        workflow: "two",
        version: "1",
        tenant: "default",
        status: "queued",
        createdAt: "T",
        trimmed: "0",
        input: '{"n":1}',
        startsAt: "T",
        "step:a": "waiting 0 0 0 timer:wake|delay|default|RUN|two|1|a|| - - 0",
      },
      "runs:default:status:queued": { RUN: "T" },
      "runs:default:workflow:two": { RUN: "T" },
      timers: { "wake|delay|default|RUN|two|1|a||": "T" },
    });
    const row = `wake|delay|default|${bench.run}|two|1|a||`;
    expect(await bench.redis.zscore(bench.keys.timers(), row)).toBe(`${due}`);
    await bench.admit(other, "default", { start: { inMs: 60_000 } });
    const made = Number(await bench.redis.hget(bench.keys.run(other), "createdAt"));
    expect(await bench.redis.hget(bench.keys.run(other), "startsAt")).toBe(`${made + 60_000}`);
  });

  test.each([{ atMs: 1_000 }, { inMs: 0 }])("a time that has come starts it at once: %j", async (start) => {
    await bench.admit(bench.run, "default", { start });
    const state = await bench.state();
    expect(state["step:two@1:a"]).toEqual(['E1 run=RUN tenant=default input={"n":1}']);
    expect(state["run:RUN"]).toMatchObject({ "step:a": "queued 0 0 0 E1 - - 0" });
    expect(state["run:RUN"]).not.toHaveProperty("startsAt");
    expect(state.timers).toBeUndefined();
  });

  test("limits count from when the run can start, and tags are indexes", async () => {
    await bench.admit(bench.run, "acme", {
      ...{ start: { inMs: 1_000 }, ttlMs: 200, deadlineMs: 5_000, tags: ["blue", "user:7"] },
    });
    const state = await bench.state();
    expect(state["run:RUN"]).toMatchObject({ ttlMs: "200", deadlineMs: "5000", tags: '["blue","user:7"]' });
    expect(state["runs:acme:tag:blue"]).toEqual({ RUN: "T" });
    expect(state["runs:acme:tag:user:7"]).toEqual({ RUN: "T" });
    const starts = Number(await bench.redis.hget(bench.keys.run(bench.run), "startsAt"));
    const due = async (limit: string) => bench.redis.zscore(bench.keys.timers(), `expire|${bench.run}|two|1|${limit}`);
    expect(await due("ttl")).toBe(`${starts + 200}`);
    expect(await due("deadline")).toBe(`${starts + 5_000}`);
  });

  test.each(["timers", "delayed", "tag"])("with options, a key of the wrong type refuses it: %s", async (which) => {
    const { keys } = bench;
    const key = { timers: keys.timers(), delayed: keys.delayed(), tag: keys.runsByTag("default", "blue") }[which]!;
    await bench.redis.set(key, "not ours");
    const before = await bench.state();
    const terms = { start: { inMs: 1_000 }, tags: ["blue"] };
    await expect(bench.admit(bench.run, "default", terms)).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.state()).toEqual(before);
  });

  test.each(["run", "log", "step", "status", "workflow"])("a key of the wrong type refuses it: %s", async (which) => {
    const { keys, run } = bench;
    const key = {
      run: keys.run(run),
      log: keys.log(run),
      step: keys.step({ workflow: "two", version: 1 }, "a"),
      status: keys.runsByStatus("default", "queued"),
      workflow: keys.runsByWorkflow("default", "two"),
    }[which]!;
    await bench.redis.set(key, "not ours");
    const before = await bench.state();
    await expect(bench.admit()).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.state()).toEqual(before);
  });
});
