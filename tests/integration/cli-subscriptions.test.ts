import { expect, test } from "vitest";
import { connect } from "../../engine/index.ts";
import { startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";

test("millrace subscriptions lists, resumes, replays and deletes", async () => {
  const namespace = freshNamespace();
  const run = async (...args: string[]) => {
    const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace };
    const command = startFile("node", "cli/main.ts", { args: ["subscriptions", ...args], env });
    const { code } = await command.exited;
    return [code, command.output()];
  };
  const millrace = await connect({ url: redisUrl, namespace, workflows: [] });
  await millrace.subscriptions.create({ group: "mail" });
  await millrace.close();
  expect(await run("list")).toEqual([0, expect.stringMatching(/^mail\t0\t0\t0\t0\t\d+\t0\t\n$/)]);
  expect(await run("resume", "mail")).toEqual([1, "millrace: The subscription is not paused.\n"]);
  expect(await run("replay", "mail")).toEqual([0, "replayed 0\n"]);
  expect(await run("delete", "mail")).toEqual([0, ""]);
  expect(await run("delete", "mail")).toEqual([3, 'millrace: There is no subscription "mail".\n']);
  expect(await run("list")).toEqual([0, ""]);
});
