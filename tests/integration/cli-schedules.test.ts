import { describe, expect, test } from "vitest";
import { missing, RUNTIMES, type Runtime, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

/** `millrace schedules` in a namespace of its own: what it prints, and how it ends. */
async function commands(runtime: Runtime) {
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: await temporaryDir() };
  return async (...args: string[]) => {
    const program = startFile(runtime, "cli/main.ts", { args: ["schedules", ...args], env });
    const { code } = await program.exited;
    return { code, output: program.output().trimEnd() };
  };
}

const modules = ["--workflows", "tests/support/programs/definitions.ts"];
const create = ["create", "nightly", "--workflow", "adding", "--input", '{"n":1}', ...modules];
const berlin = ["--cron", "30 2 * * *", "--time-zone", "Europe/Berlin"];
const NEXT = /^nightly\tactive\tadding\t30 2 \* \* \* Europe\/Berlin\t\d{4}-\d\d-\d\dT0[01]:30:00\.000Z$/;

describe.concurrent.each(RUNTIMES)("millrace schedules under %s", (runtime) => {
  test.skipIf(missing(runtime))("makes one and lists it", async () => {
    const schedules = await commands(runtime);
    expect(await schedules(...create, ...berlin)).toEqual({ code: 0, output: expect.stringMatching(NEXT) });
    expect(await schedules("list")).toEqual({ code: 0, output: expect.stringMatching(NEXT) });
  });
});

describe.concurrent("millrace schedules", () => {
  test("pauses, resumes, triggers and deletes", async () => {
    const schedules = await commands("node");
    const policies = ["--overlap", "queue", "--missed", "all", "--jitter-ms", "5", "--metadata", '{"team":"ops"}'];
    policies.push("--priority", "high", "--tag", "daily", "--tag", "acme");
    expect(await schedules(...create, "--every", "60000", ...policies)).toMatchObject({ code: 0 });
    expect(await schedules("pause", "nightly")).toEqual({ code: 0, output: "nightly\tpaused\tadding\tevery 60000 ms" });
    expect((await schedules("resume", "nightly")).output).toMatch(/^nightly\tactive\t.*\t2\d{3}-/);
    expect((await schedules("trigger", "nightly", ...modules)).output).toMatch(/^[0-9a-f]{32}-\d+$/);
    expect(await schedules("delete", "nightly")).toEqual({ code: 0, output: "nightly deleted" });
    expect(await schedules("list")).toEqual({ code: 0, output: "" });
    expect(await schedules("pause", "nightly")).toEqual({
      code: 3,
      output: 'millrace: There is no schedule "nightly".',
    });
  });

  test.each([
    ["a bad cron", 2, ["--cron", "often"], /^millrace: The schedule's cron: /],
    ["no times", 2, [], /^millrace: The schedule's cron: Give one of cron, every and at\.$/],
    ["an input that does not fit", 2, ["--cron", "@daily", "--input", "{}"], /^millrace: The input .*\n {2}n: /],
    ["an unknown workflow", 3, ["--cron", "@daily", "--workflow", "none"], /^millrace: There is no workflow "none"\.$/],
    ["too short an interval", 2, ["--every", "10"], /from 1000 to/],
    ["an unknown policy", 2, ["--cron", "@daily", "--overlap", "wait"], /skip, queue, allow/],
    ["metadata that is no JSON", 2, ["--cron", "@daily", "--metadata", "{"], /It takes JSON/],
  ])("refuses %s with exit code %i", async (_, code, args, message) => {
    const refused = await (await commands("node"))(...create, ...args);
    expect(refused).toEqual({ code, output: expect.stringMatching(message) });
    expect(refused.output).not.toMatch(/^\s+at /m);
  });
});
