import { any } from "valibot";
import { describe, expect, test } from "vitest";
import { internalsOf } from "../../../engine/connect.ts";
import { workflow } from "../../../engine/index.ts";
import { deployed } from "../../support/deployed.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { rawRedis } from "../../support/redis.ts";
import { keysLike } from "../../support/redis-client.ts";
import { keysOf } from "../../support/run-keys.ts";

test("a run whose keys hold something else is reported, and the others are moved", async () => {
  const { engine, ids } = await deployed(3);
  await using _ = engine;
  const key = keysOf(engine, ids[1]!).log(ids[1]!);
  await rawRedis().del(key);
  await rawRedis().set(key, "not ours");
  expect(await engine.millrace.migrate({ workflow: "doc", from: 1, runs: ids })).toMatchObject({
    ...{ moved: 2, failed: 1 },
    left: [{ run: ids[1], outcome: "failed", reason: expect.stringMatching(/another type/) }],
  });
  await rawRedis().del(key);
});

describe("which runs", () => {
  test("by their ids, by a filter, and no more than a limit", async () => {
    const { engine, ids } = await deployed(5);
    await using _ = engine;
    const { millrace } = engine;
    const move = (more: object) => millrace.migrate({ workflow: "doc", from: 1, to: 2, ...more });
    expect(await move({ runs: [ids[0], ids[0], "not-there"] })).toMatchObject({ moved: 1, skipped: 1 });
    expect(await move({ runs: [ids[0]] })).toMatchObject({ left: [{ reason: "it is of doc@2" }] });
    expect(await move({ runs: ({ id }: { id: string }) => id === ids[1] })).toMatchObject({ moved: 1, skipped: 0 });
    expect(await move({ limit: 2 })).toMatchObject({ moved: 2 });
    expect(await move({})).toMatchObject({ moved: 1 });
    await millrace.runs.cancel(ids[0]!);
    expect(await millrace.migrate({ workflow: "doc", from: 2, to: 1, runs: [ids[0]!] })).toMatchObject({
      left: [{ outcome: "skipped", reason: "it is cancelled" }],
    });
  });

  test("more than a page of them", async () => {
    const many = workflow("many", { input: any() }).waitFor("go", { schema: any() });
    const again = workflow("many", { version: 2, input: any() }).waitFor("go", { schema: any() });
    await using engine = await engineUnderTest([many, again]);
    await using old = await engineUnderTest([many], { namespace: engine.namespace });
    await Promise.all(Array.from({ length: 230 }, () => old.millrace.runs.start("many", null)));
    expect(await engine.millrace.migrate({ workflow: "many", from: 1 })).toMatchObject({ moved: 230, busy: 0 });
    const [first, second] = await engine.millrace.versions();
    expect([first!.runs.queued, second!.runs.queued]).toEqual([230, 0]);
  });

  test("what is asked for wrongly is refused", async () => {
    const { engine } = await deployed();
    await using _ = engine;
    const { migrate } = engine.millrace;
    await expect(migrate({ workflow: "doc", from: 2, to: 2 })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(migrate({ workflow: "doc", from: 1, limit: 0 })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(migrate({ workflow: "doc", from: 1, to: 9 })).rejects.toMatchObject({ code: "not_found" });
    await expect(migrate({ workflow: "doc", from: 9, to: 1 })).rejects.toMatchObject({ code: "not_found" });
    await expect(migrate({ workflow: "nope", from: 1 })).rejects.toMatchObject({ code: "not_found" });
    const runs = Array.from({ length: 1_001 }, () => "a");
    await expect(migrate({ workflow: "doc", from: 1, runs })).rejects.toMatchObject({ code: "invalid_input" });
  });
});

test("cancels and signals that cross with it find the run where it is", async () => {
  const { engine, ids } = await deployed(2);
  await using _ = engine;
  const { runs, migrate } = engine.millrace;
  const { store } = internalsOf(engine.millrace);
  // What is called between the reading of a run and what is done to it.
  const crossing = async (name: "signal" | "cancel", id: string, act: () => Promise<void>) => {
    const real = store[name].bind(store) as (...args: unknown[]) => Promise<never>;
    let crossed = 0;
    store[name] = async (...args: unknown[]) => {
      if (crossed++ === 0) await migrate({ workflow: "doc", from: 1, runs: [id] });
      return real(...args);
    };
    await act();
    expect(crossed).toBe(2);
  };
  await crossing("signal", ids[0]!, () => runs.signal(ids[0]!, "approve", "ann"));
  await crossing("cancel", ids[1]!, () => runs.cancel(ids[1]!));
  expect(await runs.get(ids[1]!)).toMatchObject({
    version: 2,
    status: "cancelled",
    steps: { approve: { status: "cancelled" } },
  });
  await engine.worker();
  expect(await engine.ended(ids[0]!)).toMatchObject({ version: 2, output: "filed for ann, checked by 2" });
});

test("of a map that the new version has no more, nothing is left when the run is deleted", async () => {
  const before = workflow("maps", { version: 1, input: any() })
    .map("each", { over: () => [1, 2], run: (n) => n })
    .waitFor("go", { schema: any() });
  const after = workflow("maps", { version: 2, input: any() }).waitFor("go", { schema: any() });
  await using engine = await engineUnderTest([before, after]);
  await using old = await engineUnderTest([before], { namespace: engine.namespace });
  await old.worker();
  const { id } = await old.millrace.runs.start("maps", null);
  await old.until(id, ({ type }) => type === "run.waiting");
  expect(await engine.millrace.migrate({ workflow: "maps", from: 1 })).toMatchObject({ skipped: 1 });
  expect(await engine.millrace.migrate({ workflow: "maps", from: 1 }, () => ({ at: "go" }))).toMatchObject({
    moved: 1,
  });
  expect(Object.keys((await engine.millrace.runs.get(id)).steps)).toEqual(["go"]);
  await engine.millrace.runs.cancel(id);
  await engine.millrace.runs.delete(id);
  expect(await keysLike(rawRedis(), `{${engine.namespace}:*${id}*`)).toEqual([]);
});

test("what is kept of retired versions is there for those who delete their runs", async () => {
  const { engine, ids } = await deployed();
  await using _ = engine;
  await engine.millrace.runs.cancel(ids[0]!);
  await engine.millrace.retireVersion("doc", 1);
  expect((await internalsOf(engine.millrace).allGraphs()).map(({ version }) => version).sort()).toEqual([1, 2]);
  await engine.millrace.runs.delete(ids[0]!);
  expect(await keysLike(rawRedis(), `{${engine.namespace}:*${ids[0]}*`)).toEqual([]);
});
