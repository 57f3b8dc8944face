import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StoreBench } from "../../support/store.ts";

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
    const input = JSON.stringify("x".repeat(300));
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

  test("a run that is there is left as it is, whatever has become of it", async () => {
    await bench.fail(await bench.held());
    const before = await bench.state();
    expect(await bench.admit()).toBe(false);
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
