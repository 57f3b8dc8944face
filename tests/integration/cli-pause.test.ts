import { expect, test } from "vitest";
import { pausable } from "../../cli/pauses.ts";
import { connect } from "../../engine/index.ts";
import { startFile } from "../support/process.ts";
import { adding } from "../support/programs/definitions.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";

test("millrace pause, paused and resume", async () => {
  const namespace = freshNamespace();
  const millrace = await connect({ url: redisUrl, namespace, workflows: [adding] });
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace };
  const run = async (...args: string[]) => {
    const program = startFile("node", "cli/main.ts", { args, env });
    const { code } = await program.exited;
    return [code, program.output().trim()];
  };
  try {
    expect(await run("pause", "--workflow", "adding", "--step", "two")).toEqual([0, ""]);
    const [paused] = await millrace.paused();
    expect(paused).toMatchObject({ workflow: "adding", step: "two" });
    expect(await run("paused")).toEqual([0, `step\tadding/two\t${paused!.since}`]);
    expect(await run("resume", "--workflow", "adding", "--step", "two")).toEqual([0, ""]);
    expect(await millrace.paused()).toEqual([]);
    expect(await run("pause", "--workflow", "none")).toEqual([3, 'millrace: There is no workflow "none".']);
  } finally {
    await millrace.close();
  }
});

test.each([{}, { step: "two" }, { workflow: "a", tenant: "b" }, { tenant: "b", step: "c" }])(
  "%j is nothing that can be paused",
  (command) => {
    expect(() => pausable(command)).toThrow("Give --workflow, or --workflow and --step, or --tenant.");
  },
);
