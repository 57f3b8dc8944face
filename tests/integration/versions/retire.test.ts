import { any } from "valibot";
import { expect, test } from "vitest";
import { FatalError, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { rawRedis } from "../../support/redis.ts";
import { keysLike } from "../../support/redis-client.ts";

const build = (version: number) =>
  workflow("doc", { version, input: any() })
    .step("read", (each) => {
      if (each === "bad") throw new FatalError("never");
      return `read by ${version}`;
    })
    .waitFor("approve", { schema: any() });
const one = build(1);
const two = build(2);

test("a version that is done with is forgotten, but its ended runs are shown", async () => {
  await using old = await engineUnderTest([one], { partitions: 1 });
  const worker = await old.worker();
  const { id } = await old.millrace.runs.start("doc", "good");
  const bad = await old.run(one, "bad");
  await old.until(id, ({ type }) => type === "run.waiting");
  await using engine = await engineUnderTest([two], { namespace: old.namespace });
  const { millrace } = engine;
  const retire = () => millrace.retireVersion("doc", 1);

  await expect(millrace.retireVersion("doc", 2)).rejects.toMatchObject({ code: "version_current" });
  await expect(millrace.retireVersion("doc", 3)).rejects.toMatchObject({ code: "not_found" });
  await expect(millrace.retireVersion("nope", 1)).rejects.toMatchObject({ code: "not_found" });
  await expect(retire()).rejects.toMatchObject({
    code: "version_served",
    message: "doc@1 is served by live workers (1). Stop them first.",
  });
  await worker.stop();
  await expect(retire()).rejects.toMatchObject({ code: "version_live" });
  await millrace.runs.cancel(id);
  await expect(retire()).rejects.toMatchObject({ code: "version_dead_letters" });
  for (const letter of (await millrace.deadLetters.list()).data) await millrace.deadLetters.discard(letter.id);
  await retire();

  expect((await millrace.versions()).map(({ version }) => version)).toEqual([2]);
  expect((await millrace.queues()).every(({ version }) => version === 2)).toBe(true);
  const left = await keysLike(rawRedis(), `{${engine.namespace}:0}:*doc@1*`);
  expect(left).toEqual([]);
  expect(
    (await rawRedis().hkeys(`{${engine.namespace}:0}:delayed`)).filter((field) => field.startsWith("doc@1")),
  ).toEqual([]);
  expect(await millrace.runs.get(bad.id)).toMatchObject({ version: 1, status: "failed", steps: { approve: {} } });
  await using later = await engineUnderTest([two], { namespace: old.namespace });
  expect(await later.millrace.runs.get(id)).toMatchObject({ version: 1, status: "cancelled" });
  await retire();
  await expect(later.millrace.migrate({ workflow: "doc", from: 2, to: 1 })).rejects.toMatchObject({
    code: "not_found",
  });
});

test("its ended runs are run again on the newest version, and not on it, where nobody would see them wait", async () => {
  await using old = await engineUnderTest([one]);
  const { id } = await old.millrace.runs.start("doc", "good");
  await old.millrace.runs.cancel(id);
  await using engine = await engineUnderTest([two], { namespace: old.namespace });
  await engine.millrace.retireVersion("doc", 1);
  const again = { from: "read", idempotency: { scope: "s", key: "k", digest: "d" } };
  for (const { millrace } of [engine, old])
    await expect(millrace.runs.rerun(id, again)).rejects.toMatchObject({ code: "version_retired" });
  expect((await engine.millrace.runs.list()).data.map((run) => run.id)).toEqual([id]);
  await engine.worker();
  const { idempotency: _, ...newest } = { ...again, newest: true };
  const fresh = await engine.millrace.runs.rerun(id, newest);
  await engine.until(fresh.id, ({ type }) => type === "run.waiting");
  expect(await engine.millrace.runs.get(fresh.id)).toMatchObject({ version: 2 });
  // With its definition it is there again.
  await using back = await engineUnderTest([one], { namespace: old.namespace });
  expect(await back.millrace.runs.rerun(id, again)).toMatchObject({ version: 1, created: true });
  expect(await back.millrace.queues()).toContainEqual(expect.objectContaining({ step: "read", version: 1, depth: 1 }));
});

test("it comes back with the next process that has its definition, if that is as it was", async () => {
  await using engine = await engineUnderTest([one, two]);
  await engine.millrace.retireVersion("doc", 1);
  const changed = workflow("doc", { version: 1, input: any() }).step("other", () => 1);
  await expect(engineUnderTest([changed], { namespace: engine.namespace })).rejects.toMatchObject({
    code: "graph_changed",
  });
  expect(await engine.millrace.versions()).toHaveLength(1);
  await using again = await engineUnderTest([one], { namespace: engine.namespace });
  await again.worker();
  expect((await engine.millrace.versions()).map(({ version }) => version)).toEqual([2, 1]);
  expect(await rawRedis().exists(`{${engine.namespace}}:retired`)).toBe(0);
  const { id } = await again.millrace.runs.start("doc", "good");
  await again.until(id, ({ type }) => type === "run.waiting");
});
