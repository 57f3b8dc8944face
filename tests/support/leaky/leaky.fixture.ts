// Leaves one of everything behind; `tests/integration/left-behind.test.ts` runs it and expects to be told.
import { spawn } from "node:child_process";
import { test } from "vitest";
import { redisUrl } from "../redis.ts";
import { connectTo } from "../redis-client.ts";

test("leaves a key, a connection, a timer and a child", async () => {
  await connectTo(redisUrl).set("no-namespace", "1");
  setInterval(() => undefined, 60_000);
  const child = spawn("sh", ["-c", "sleep 60"], { stdio: "ignore", detached: true });
  child.unref();
  console.log(`child ${child.pid}`);
});
