import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { type RerunAdmission, RerunStore } from "../../../engine/store/rerun-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

let bench: StoreBench;
let reruns: RerunStore;
beforeEach(() => {
  bench = new StoreBench();
  reruns = new RerunStore(bench.client, bench.store);
});
afterEach(() => bench.close());

const admission = (more: Partial<RerunAdmission> = {}): RerunAdmission => ({
  ...{ id: bench.run, graph: two.graph, tenant: "default", metadata: '{"rerunOf":"R"}', start: ["b"] },
  fields: { input: "1", "step:a": "completed 1 0 0 - 5 6 0", "output:a": "2", "input:b": "3" },
  blobsDueAt: undefined,
  ...more,
});

async function change(more: Partial<RerunAdmission>, expected: Reply) {
  const before = await bench.state();
  expect(await reruns.admit(admission(more))).toBe(expected);
  return changes(before, await bench.state());
}

describe("admit-rerun", () => {
  test("a run with what is kept, and the step that starts in its stream", async () => {
    expect(await change({}, Reply.Done)).toEqual({
      "log:RUN": ['T {"type":"run.queued"}'],
      "run:RUN": {
        ...{ status: "queued", trimmed: "0", createdAt: "T", workflow: "two", version: "1", tenant: "default" },
        ...{ metadata: '{"rerunOf":"R"}', input: "1", "input:b": "3" },
        ...{ "step:a": "completed 1 0 0 - 5 6 0", "output:a": "2", "step:b": "queued 0 0 0 E1 - - 0" },
      },
      "runs:default:status:queued": { RUN: "T" },
      "runs:default:workflow:two": { RUN: "T" },
      "step:two@1:b": ["E1 run=RUN tenant=default input="],
    });
    const [entry] = await bench.take("b");
    expect(await bench.inputs.stored(entry!)).toBe("3");
    expect(await bench.commit({ entry: entry!, startedAgoMs: 0 })).toBe(Reply.Done);
  });

  test("with tags it is in the index of each", async () => {
    const fields = { ...admission().fields, tags: '["a","b"]' };
    expect(await change({ fields }, Reply.Done)).toMatchObject({
      "run:RUN": { tags: '["a","b"]' },
      "runs:default:tag:a": { RUN: "T" },
      "runs:default:tag:b": { RUN: "T" },
    });
  });

  test("a second time nothing changes", async () => {
    await reruns.admit(admission());
    expect(await change({}, Reply.Already)).toEqual({});
  });

  test("takes over its blobs while their timer row is as it was", async () => {
    const blobsDueAt = await reruns.expectBlobs("default", bench.run, 60_000);
    expect(await bench.state()).toEqual({ timers: { "delete|default|RUN|": "T" } });
    expect(await reruns.expectBlobs("default", bench.run, 90_000)).toBe(blobsDueAt);
    expect(await change({ blobsDueAt }, Reply.Done)).toMatchObject({ timers: "gone" });
    const again = await reruns.expectBlobs("default", bench.run, 60_000);
    expect(await change({ blobsDueAt: again }, Reply.Already)).toEqual({ timers: "gone" });
  });

  test.each([
    ["gone", () => bench.redis.del(bench.keys.timers())],
    [
      "another process's",
      () => bench.redis.zadd(bench.keys.timers(), Date.now() + 90_000, `delete|default|${bench.run}|`),
    ],
  ])("is refused when that row is %s", async (_, prepare) => {
    const blobsDueAt = await reruns.expectBlobs("default", bench.run, 60_000);
    await prepare();
    expect(await change({ blobsDueAt }, Reply.Stale)).toEqual({});
  });

  test("is refused when that row is due", async () => {
    const blobsDueAt = await reruns.expectBlobs("default", bench.run, 0);
    expect(await change({ blobsDueAt }, Reply.Stale)).toEqual({});
  });

  test.each(["run", "log", "timers", "status", "workflow", "stream", "tag"])(
    "a key of the wrong type refuses it: %s",
    async (which) => {
      const { keys, run, redis } = bench;
      const key = {
        run: keys.run(run),
        log: keys.log(run),
        timers: keys.timers(),
        status: keys.runsByStatus("default", "queued"),
        workflow: keys.runsByWorkflow("default", "two"),
        stream: keys.step(two.graph, "b"),
        tag: keys.runsByTag("default", "a"),
      }[which]!;
      await redis.set(key, "not ours");
      const fields = { ...admission().fields, tags: '["a"]' };
      expect(await change({ fields }, Reply.WrongType)).toEqual({});
    },
  );

  test("another run is another", async () => {
    await reruns.admit(admission());
    expect(await reruns.admit(admission({ id: newRunId(0) }))).toBe(Reply.Done);
  });
});
