import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Schedule } from "../support/faults/schedule.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { eventually } from "../support/gateway.ts";
import { rawRedis } from "../support/redis.ts";
import { keysLike } from "../support/redis-client.ts";

const talk = workflow("talk", { input: any() })
  .step("a", (n, ctx) => {
    for (let i = 0; i < 5; i += 1) ctx.emit({ i });
    return n;
  })
  .step("b", (n) => n + 1)
  .step("c", (n) => 2 * n);

test("logs are trimmed at random while runs move: every run ends as it would, and who watches is told of the gap", {
  timeout: TIMEOUT_MS,
}, async () => {
  const schedule = new Schedule(sized(40, 5_000));
  const redis = rawRedis();
  await using engine = await engineUnderTest([talk]);
  await engine.worker();
  const started: string[] = [];
  let isOver = false;
  const load = async () => {
    while (!isOver || started.length < 60) {
      const at = started.push("") - 1;
      started[at] = (await engine.millrace.runs.start(talk, at)).id;
    }
  };
  const loaded = Promise.all([load(), load()]);
  const logs = () => keysLike(redis, `{${engine.namespace}:*}:log:*`);
  await expect.poll(async () => (await logs()).length).toBeGreaterThan(0);
  const trim = {
    name: "LTRIM",
    async inject() {
      const log = schedule.random.pick(await logs());
      const drop = schedule.random.whole(1, 3);
      // As the engine does it: what is dropped is counted.
      await redis.multi().ltrim(log, drop, -1).hincrby(log.replace(":log:", ":run:"), "trimmed", drop).exec();
      return `${drop} of ${log}`;
    },
  };
  await schedule.run([trim], async () => {});
  isOver = true;
  await loaded;
  for (const [n, id] of started.entries())
    expect(
      await eventually(
        () => engine.millrace.runs.get(id),
        ({ endedAt }) => endedAt !== undefined,
      ),
    ).toMatchObject({ status: "completed", output: 2 * (n + 1) });
  let resets = 0;
  for (const id of started)
    for await (const { type } of engine.millrace.watch(id, { signal: AbortSignal.timeout(5_000) })) {
      if (type === "reset") resets += 1;
      if (type === "reset" || type === "run.completed") break;
    }
  expect(resets).toBeGreaterThan(0);
});
