import * as v from "valibot";
import { expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { type BlobStore, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { temporaryDir } from "../support/run.ts";

const once = { attempts: 1 };

test("a blob store that does not answer holds an attempt up no longer than its time", async () => {
  const files = new FsBlobStore(await temporaryDir());
  const never = new Promise<never>(() => {});
  const silent: BlobStore = {
    put: (source, body, options) => (source.name === "write.json" ? never : files.put(source, body, options)),
    find: (tenant, id) => files.find(tenant, id),
    open: (tenant, id) => (stuck ? never : files.open(tenant, id)),
    share: (tenant, from, to) => files.share(tenant, from, to),
    deleteOf: (tenant, run) => files.deleteOf(tenant, run),
    delete: (tenant, id) => files.delete(tenant, id),
  };
  let stuck = true;
  const large = "x".repeat(40_000);
  const reading = workflow("reading", { input: v.string() }).step("read", { retry: once, timeoutMs: 50, run: () => 1 });
  const writing = workflow("writing", { input: v.null() }).step("write", {
    retry: once,
    timeoutMs: 50,
    run: () => large,
  });
  await using engine = await engineUnderTest([reading, writing], { blobs: silent });
  await engine.worker({ concurrency: 1 });
  const { id } = await engine.millrace.runs.start(reading, large);
  await engine.events(id);
  stuck = false;
  const other = await engine.millrace.runs.start(writing, null);
  await engine.events(other.id);
  for (const run of [id, other.id])
    expect(await engine.millrace.runs.get(run)).toMatchObject({ status: "failed", error: { code: "step_timeout" } });
});

test("a handler that says odd things of its progress neither breaks the worker nor fills the log", async () => {
  const odd: [unknown, unknown][] = [
    [1n, "whole"],
    ["0.5", { an: "object" }],
    [1, "x".repeat(5_000_000)],
  ];
  const said = workflow("said", { input: v.number() }).step("say", (i, ctx) => {
    ctx.progress(odd[i]![0] as number, odd[i]![1] as string);
  });
  await using engine = await engineUnderTest([said]);
  await engine.worker();
  const shown = [];
  for (const i of odd.keys()) {
    const { id } = await engine.millrace.runs.start(said, i);
    const { progress, message } = (await engine.ended(id)).steps.say!;
    shown.push([progress, message]);
  }
  expect(shown).toEqual([
    [1, "whole"],
    [0.5, "[object Object]"],
    [1, "x".repeat(1_000)],
  ]);
});
