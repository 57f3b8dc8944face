import { any } from "valibot";
import { describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { missing, RUNTIMES, type Runtime, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";

/** Runs `millrace config …`, and gives its exit code and what it printed. */
async function config(namespace: string, args: readonly string[], runtime: Runtime = "node") {
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace };
  const command = startFile(runtime, "cli/main.ts", { args: ["config", ...args], env });
  const { code } = await command.exited;
  return [code, command.output()];
}

describe.concurrent.each(RUNTIMES)("millrace config under %s", (runtime) => {
  test.skipIf(missing(runtime))("sets, gets, lists and deletes", async () => {
    const namespace = freshNamespace();
    const run = (...args: string[]) => config(namespace, args, runtime);
    expect(await run("set", "mail.from", '"ann <a@b.c>"')).toEqual([0, ""]);
    expect(await run("set", "limit", '{"perSecond": 5}')).toEqual([0, ""]);
    expect(await run("get", "limit")).toEqual([0, '{"perSecond":5}\n']);
    expect(await run("list")).toEqual([0, 'limit\t{"perSecond":5}\nmail.from\t"ann <a@b.c>"\n']);
    expect(await run("list", "mail.")).toEqual([0, 'mail.from\t"ann <a@b.c>"\n']);
    expect(await run("delete", "limit")).toEqual([0, ""]);
    const gone = [3, 'millrace: There is no configuration key "limit".\n'];
    expect([await run("get", "limit"), await run("delete", "limit")]).toEqual([gone, gone]);
  });
});

test("millrace config says what it cannot do", async () => {
  const namespace = freshNamespace();
  expect(await config(namespace, ["set", "a", "plain"])).toEqual([2, expect.stringContaining("must be JSON")]);
  expect(await config(namespace, ["set", "a b", "1"])).toEqual([
    2,
    expect.stringMatching(/^millrace: The key .*begins/),
  ]);
  expect(await config(namespace, ["set", "a"])).toEqual([2, expect.stringContaining("missing required argument")]);
  expect(await config(namespace, ["set", "a", "-1"])).toEqual([0, ""]);
});

test("a handler at work sees what another process sets", async () => {
  const waiting = workflow("waiting", { input: any() }).step("wait", async (_, ctx) => {
    while (!ctx.config.flag("go")) {
      ctx.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return "gone";
  });
  await using engine = await engineUnderTest([waiting]);
  await engine.worker();
  const { id } = await engine.millrace.runs.start(waiting, null);
  await engine.until(id, ({ type }) => type === "step.started");
  expect(await config(engine.namespace, ["set", "go", "true"])).toEqual([0, ""]);
  expect((await engine.ended(id)).output).toBe("gone");
});
