import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FatalError, type RunEvent, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { missing, RUNTIMES, startFile, startProgram } from "../support/process.ts";
import { redisUrl } from "../support/redis.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";
import { temporaryDir } from "../support/run.ts";
import { runtimePaths } from "../support/runtime-path.ts";

const talking = workflow("talking", { input: v.object({ fails: v.boolean() }) })
  .step("speak", (input, ctx) => {
    ctx.emit("one\u001b[2J\ntwo");
    return input;
  })
  .step("end", ({ fails }) => {
    if (fails) throw new FatalError("It is\tover.");
  });
const asked = workflow("asked", { input: v.null() }).waitFor("answer", { schema: v.string() });

let bench: EngineUnderTest;
let env: Record<string, string | undefined>;
beforeAll(async () => {
  bench = await engineUnderTest([talking, asked]);
  env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: bench.namespace, MILLRACE_BLOBS: await temporaryDir() };
  await bench.worker();
});
afterAll(() => bench[Symbol.asyncDispose]());

const watch = (args: string[], more = {}) =>
  startFile("node", "cli/main.ts", { args: ["runs", "watch", ...args], env: { ...env, ...more } });
const start = (fails: boolean) => bench.millrace.runs.start(talking, { fails });
const parsed = (output: string) =>
  output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as RunEvent);

test("a watch prints each event on a line, and ends as the run has ended", async () => {
  const [good, bad, dropped] = await Promise.all([start(false), start(true), bench.millrace.runs.start(asked, null)]);
  const watches = [watch([good.id]), watch([bad.id]), watch([dropped.id, "--json"]), watch(["none"])];
  await watches[2]!.line(/"run.waiting"/, 60_000);
  await bench.millrace.runs.cancel(dropped.id);
  const [completed, failed, cancelled, none] = await Promise.all(watches.map(({ exited }) => exited));
  expect([completed, failed, cancelled, none].map((ended) => ended!.code)).toEqual([0, 1, 5, 3]);

  const events = await bench.events(good.id);
  const lines = watches[0]!.output().trimEnd().split("\n");
  expect(lines.map((line) => line.split("\t").slice(0, 3))).toEqual(
    events.map(({ seq, at, type }) => [String(seq), at, type]),
  );
  expect(lines.find((line) => line.includes("step.output"))).toMatch(/\tstep\.output\tspeak\t1?\tone \[2J two$/);
  expect(watches[1]!.output()).toMatch(/\tstep\.failed\tend\t1\tFatalError: It is over\.\n/);
  expect(parsed(watches[2]!.output())).toEqual(await bench.events(dropped.id));

  const after = watch([bad.id, "--after", "3", "--json"]);
  expect((await after.exited).code).toBe(1);
  expect(parsed(after.output())).toEqual(await bench.events(bad.id, 3));
  expect((await watch([bad.id, "--after", "?"]).exited).code).toBe(2);
});

describe.concurrent.each(RUNTIMES)("under %s", (runtime) => {
  test.skipIf(missing(runtime))("Ctrl-C ends a watch at once, and a reader that goes ends it quietly", async () => {
    const { id } = await bench.millrace.runs.start(asked, null);
    const watching = startFile(runtime, "cli/main.ts", { args: ["runs", "watch", id], env });
    await watching.line(/run.waiting/, 60_000);
    watching.kill("SIGINT");
    expect(await watching.exited).toEqual({ code: 130, signal: null });

    const flags = runtime === "deno" ? "run --quiet --allow-all " : "";
    const start = `'${runtimePaths[runtime]}' ${flags}cli/main.ts`;
    const [queues, help] = ["queues --watch --every-ms 100", "runs --help"].map((line) =>
      startProgram("bash", ["-c", `set -o pipefail; ${start} ${line} | head -n 1`], { env }),
    );
    expect((await queues!.exited).code).toBe(0);
    expect(queues!.output()).toMatch(/^\S+\tasked@1\tanswer\t[^\n]*\n$/);
    expect((await help!.exited).code).toBe(0);
    expect(help!.output()).toMatch(/^Usage: [^\n]*\n$/);
  });
});

test("a watch goes on after Redis was away, and misses nothing", async () => {
  await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
  await using engine = await engineUnderTest([asked], { url: redis.url });
  await engine.worker();
  const { id } = await engine.millrace.runs.start(asked, null);
  const watching = watch([id, "--json"], { REDIS_URL: redis.url, MILLRACE_NAMESPACE: engine.namespace });
  await watching.line(/"run.waiting"/, 60_000);
  await redis.kill();
  await expect.poll(() => watching.output(), { timeout: 15_000 }).toContain("Redis is away");
  await redis.start();
  await expect.poll(() => watching.output(), { timeout: 15_000 }).toContain("Redis is there again");
  await engine.millrace.runs.signal(id, "answer", "yes");
  expect((await watching.exited).code).toBe(0);
  const events = watching.output().replaceAll(/^Redis is .*\n/gm, "");
  expect(parsed(events)).toEqual(await engine.events(id));
});
