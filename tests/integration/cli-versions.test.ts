import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { startFile } from "../support/process.ts";
import { redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const build = (version: number) => workflow("doc", { version, input: any() }).step("read", () => 1);

test("millrace versions lists them, moves runs and retires what is done with", async () => {
  await using old = await engineUnderTest([build(1)]);
  await using engine = await engineUnderTest([build(1), build(2)], { namespace: old.namespace });
  const env = {
    ...{ REDIS_URL: redisUrl, MILLRACE_NAMESPACE: engine.namespace, MILLRACE_BLOBS: await temporaryDir() },
    LOG_LEVEL: "error",
  };
  const millrace = async (...args: string[]) => {
    const command = startFile("node", "cli/main.ts", { args: ["versions", ...args], env });
    const { code } = await command.exited;
    return [
      code,
      command
        .output()
        .trimEnd()
        .split("\n")
        .map((line) => line.trimEnd()),
    ];
  };
  await old.millrace.runs.start("doc", null);
  expect(await millrace("list")).toEqual([
    0,
    ["doc@2\tcurrent\t0\t0\t0\t0", "doc@1\t\t0\t1\t0\t0\tSTRANDED: no worker serves read"],
  ]);
  expect(await millrace("list", "nope")).toEqual([0, [""]]);
  expect(await millrace("retire", "doc", "1")).toEqual([
    1,
    [expect.stringMatching(/doc@1 has runs that have not ended/)],
  ]);
  const move = ["migrate", "doc", "--from", "1", "--to", "2"];
  expect(await millrace(...move, "--dry-run")).toEqual([0, ["1 would be moved, 0 skipped, 0 busy, 0 failed"]]);
  expect(await millrace(...move)).toEqual([0, ["1 moved, 0 skipped, 0 busy, 0 failed"]]);
  expect(await millrace("retire", "doc", "1")).toEqual([0, [""]]);
  expect((await engine.millrace.versions()).map(({ version, runs }) => [version, runs.queued])).toEqual([[2, 1]]);
  expect((await millrace("retire", "doc", "one"))[0]).toBe(2);
});
