import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis } from "../support/redis.ts";
import { connectionsNamed } from "../support/redis-client.ts";

const many = Array.from({ length: 20 }, (_, i) =>
  workflow(`w${i}`, { input: v.number() })
    .step("one", (n) => n + 1)
    .step("two", (n) => n + 1),
);

test("a worker of many steps blocks on none of their streams, and runs each at once", async () => {
  await using engine = await engineUnderTest(many, { partitions: 1 });
  await engine.worker({ concurrency: 10 });
  const run = async (i: number) => {
    const { id } = await engine.millrace.runs.start(many[i % many.length]!, i);
    return (await engine.ended(id)).output;
  };
  expect(await run(7)).toBe(9);
  const [reader] = await connectionsNamed(rawRedis(), new RegExp(`^millrace:${engine.namespace}:reader$`));
  expect(reader!.line).toMatch(/ flags=[^b ]* /);
  const burst = Array.from({ length: 100 }, (_, i) => i);
  expect(await Promise.all(burst.map(run))).toEqual(burst.map((n) => n + 2));
});

test("and what was put in while it could not hear", async () => {
  await using engine = await engineUnderTest(many, { partitions: 1 });
  await engine.worker();
  const [subscriber] = await connectionsNamed(rawRedis(), new RegExp(`^millrace:${engine.namespace}:subscriber$`));
  expect(await subscriber!.kill()).toBe(1);
  const { id } = await engine.millrace.runs.start(many[3]!, 3);
  expect((await engine.ended(id)).output).toBe(5);
});
