import { expect, test } from "vitest";
import { startProgram } from "../support/process.ts";
import { freshNamespace, leftovers, rawRedis, redisUrl } from "../support/redis.ts";
import { ROOT } from "../support/run.ts";

test("a suite that leaves a key, a connection, a timer or a child behind fails and names them", async () => {
  const config = "tests/support/leaky/vitest.config.ts";
  const suite = startProgram(process.execPath, [`${ROOT}bin/run.mjs`, "vitest", "run", "--config", config], {
    // On a server of its own, to which nobody else connects.
    env: { REDIS_URL: undefined },
  });
  const child = Number((await suite.line(/^child \d+/)).split(" ")[1]);
  const { code } = await suite.exited;
  process.kill(-child, "SIGKILL");
  expect(suite.output()).toMatch(/This file left behind: .*Timeout/);
  expect(suite.output()).toMatch(/This file left behind: .*TCPSocketWrap/);
  expect(suite.output()).toContain("left behind: 1 keys, 0 connections, 2 children");
  expect(suite.output()).toContain("no-namespace");
  expect(suite.output()).toContain(`process ${child}: sh -c sleep 60`);
  expect(code).toBe(1);
});

test("leftovers are a namespace's own keys, in every partition and in none", async () => {
  const [namespace, other] = [freshNamespace(), freshNamespace()];
  const client = rawRedis();
  for (const key of [`{${namespace}}:meta`, `{${namespace}:0}:run:1`, `{${namespace}:15}:log:1`, `{${other}:0}:run:1`])
    await client.set(key, "1");
  expect(await leftovers(redisUrl, namespace)).toEqual([
    `{${namespace}:0}:run:1`,
    `{${namespace}:15}:log:1`,
    `{${namespace}}:meta`,
  ]);
});
