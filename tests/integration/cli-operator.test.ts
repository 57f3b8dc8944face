import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { FatalError, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { startFile } from "../support/process.ts";
import { redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const brittle = workflow("brittle", { input: v.object({ n: v.number() }) })
  .step("double", ({ n }) => n * 2)
  .step("check", (n) => {
    if (n < 100) throw new FatalError(`${n} is\ntoo small`, { code: "small" });
    return n;
  });

let bench: EngineUnderTest;
let env: Record<string, string>;
beforeAll(async () => {
  const blobs = await temporaryDir();
  bench = await engineUnderTest([brittle], { blobs: new FsBlobStore(blobs) });
  env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: bench.namespace, MILLRACE_BLOBS: blobs, LOG_LEVEL: "error" };
  await bench.worker();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function millrace(...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const command = startFile("node", "cli/main.ts", { args, env });
  const { code } = await command.exited;
  return { code, lines: command.output().trimEnd().split("\n") };
}

test("dead letters are listed, shown, replayed with another input and dropped", async () => {
  const run = await bench.run(brittle, { n: 4 });
  const [letter] = (await bench.millrace.deadLetters.list()).data;
  const listed = await millrace("dead-letters", "list", "--error-code", "small", "--step", "check");
  expect(listed).toEqual({
    code: 0,
    lines: [`${letter!.id}  ${letter!.at}  brittle@1:check  attempt 1  FatalError: 8 is too small`],
  });
  const shown = await millrace("dead-letters", "show", letter!.id);
  expect(JSON.parse(shown.lines.join("\n"))).toEqual(await bench.millrace.deadLetters.get(letter!.id));
  expect(await millrace("dead-letters", "replay", letter!.id, "--input", "200")).toEqual({
    code: 0,
    lines: [`run ${run.id} goes on at check`],
  });
  await bench.events(run.id, run.seq);
  expect(await bench.millrace.runs.get(run.id)).toMatchObject({ status: "completed", output: 200 });

  await bench.run(brittle, { n: 5 });
  await bench.run(brittle, { n: 6 });
  expect(await millrace("dead-letters", "replay", "--workflow", "brittle", "--limit", "1")).toEqual({
    code: 0,
    lines: ["replayed 1 of 1 that fit"],
  });
  expect((await millrace("dead-letters", "discard", "--all")).lines).toEqual([
    expect.stringMatching(/^dropped [12] of [12] that fit$/),
  ]);
});

test("runs are run again and deleted", async () => {
  const run = await bench.run(brittle, { n: 60 });
  const { code, lines } = await millrace("runs", "rerun", run.id, "--from", "check", "--input", "300");
  expect([code, lines.length]).toEqual([0, 1]);
  expect(await bench.ended(lines[0]!)).toMatchObject({ output: 300, metadata: { rerunOf: run.id } });
  expect(await millrace("runs", "delete", run.id, lines[0]!)).toEqual({
    code: 0,
    lines: [`deleted ${run.id}`, `deleted ${lines[0]}`],
  });
  await expect(bench.millrace.runs.get(run.id)).rejects.toMatchObject({ code: "not_found" });
});

test.each<[string[], number, RegExp]>([
  [["runs", "delete", "none"], 1, /^millrace: There is no run "none"\.$/],
  [["runs", "rerun", "none"], 2, /required option '--from <step>'/],
  [["runs", "rerun", "none", "--from", "a", "--input", "{"], 2, /--input takes JSON/],
  [["dead-letters", "show", "none"], 1, /There is no dead letter "none"/],
  [["dead-letters", "replay"], 2, /Give dead-letters replay ids, or say by its options which fit, or --all/],
  [["dead-letters", "discard", "a", "--all"], 2, /not both/],
  [["dead-letters", "replay", "--all", "--input", "1"], 2, /--input goes with one id/],
  [["dead-letters", "list", "--before", "soon"], 2, /--before takes a time such as/],
  [["dead-letters", "list", "--limit", "0"], 2, /--limit takes a whole number from 1 to 100/],
])("millrace %j ends with exit code %d", async (args, code, message) => {
  const ended = await millrace(...args);
  expect(ended.code).toBe(code);
  expect(ended.lines.join("\n")).toMatch(message);
  expect(ended.lines.join("\n")).not.toMatch(/^\s+at /m);
});
