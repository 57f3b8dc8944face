import * as v from "valibot";
import { expect, test } from "vitest";
import { InvalidInputError, workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";

const anything = workflow("anything", { input: v.any() }).step("one", () => 1);

test("what JSON cannot hold is refused as input and as metadata, and uses up no idempotency key", async () => {
  await using engine = await engineUnderTest([anything]);
  const { runs } = engine.millrace;
  const circular: { self?: object } = {};
  circular.self = circular;
  const idempotency = { scope: "test", key: "one", digest: "a" };
  for (const bad of [1n, circular]) {
    await expect(runs.start(anything, bad, { idempotency })).rejects.toBeInstanceOf(InvalidInputError);
    await expect(runs.start(anything, 1, { idempotency, metadata: { bad } })).rejects.toBeInstanceOf(InvalidInputError);
  }
  expect((await runs.list()).data).toEqual([]);
  expect(await runs.start(anything, 1, { idempotency: { ...idempotency, digest: "b" } })).toMatchObject({
    created: true,
  });
});

test("two hundred calls at once with one idempotency key make one run", async () => {
  await using engine = await engineUnderTest([anything]);
  const idempotency = { scope: "test", key: "one", digest: "a" };
  const starting = Array.from({ length: 200 }, () => engine.millrace.runs.start(anything, 1, { idempotency }));
  const started = await Promise.all(starting);
  expect(new Set(started.map((run) => run.id)).size).toBe(1);
  expect(started.filter((run) => run.created)).toHaveLength(1);
  expect((await engine.millrace.runs.list()).data).toHaveLength(1);
});
