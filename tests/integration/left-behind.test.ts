import { expect, test } from "vitest";
import { startProgram } from "../support/process.ts";
import { ROOT } from "../support/run.ts";

test("a suite that leaves a key, a connection, a timer or a child behind fails and names them", async () => {
  const config = "tests/support/leaky/vitest.config.ts";
  const suite = startProgram(process.execPath, [`${ROOT}bin/run.mjs`, "vitest", "run", "--config", config]);
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
