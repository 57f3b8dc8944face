import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { Reply } from "../../engine/store.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { rawRedis } from "../support/redis.ts";
import { connectionsNamed } from "../support/redis-client.ts";
import { StoreBench } from "../support/store.ts";

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

test("whatever puts a step into its stream rings for that stream", async () => {
  const bench = new StoreBench();
  const listener = bench.redis.duplicate();
  try {
    const heard: string[] = [];
    await listener.subscribe(bench.keys.bell());
    const end = new Promise<void>((resolve) =>
      listener.on("message", (_, text) => {
        heard.push(text);
        if (text === "end") resolve();
      }),
    );
    await bench.admit();
    const [entry] = await bench.take("a");
    expect(await bench.commit({ entry: entry!, end: { kind: "complete", output: "1" } })).toBe(Reply.Done);
    await bench.redis.publish(bench.keys.bell(), "end");
    await end;
    expect(heard).toEqual([bench.stream("a").key, bench.stream("b").key, "end"]);
  } finally {
    listener.disconnect();
    await bench.close();
  }
});
