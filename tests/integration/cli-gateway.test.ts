import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { adminKey } from "../support/admin-key.ts";
import { missing, RUNTIMES, type Runtime, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

async function startGateway(runtime: Runtime, args: readonly string[]) {
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: freshNamespace(), MILLRACE_BLOBS: await temporaryDir() };
  const definitions = ["--workflows", "tests/support/programs/definitions.ts"];
  const started = startFile(runtime, "cli/main.ts", { args: ["gateway", ...definitions, ...args], env });
  return Object.assign(started, { namespace: env.MILLRACE_NAMESPACE });
}

describe.concurrent.each(RUNTIMES)("millrace gateway under %s", (runtime) => {
  test.skipIf(missing(runtime))("serves until it is asked to stop", async () => {
    const gateway = await startGateway(runtime, ["--port", "0"]);
    const url = (await gateway.line(/^listening on http:\/\/127\.0\.0\.1:\d+$/)).slice("listening on ".length);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/v1/runs`)).status).toBe(401);
    const headers = await adminKey(gateway.namespace, redisUrl);
    expect((await fetch(`${url}/v1/runs`, { headers })).status).toBe(200);
    gateway.kill("SIGTERM");
    expect(await gateway.exited).toEqual({ code: 0, signal: null });
    await expect(fetch(`${url}/readyz`)).rejects.toThrow();
  });

  test.skipIf(missing(runtime))("says that its address cannot be had", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    for (const [args, message] of [
      [["--port", String(port)], `millrace: Port ${port} of 127.0.0.1 is in use.`],
      [["--port", "0", "--host", "203.0.113.1"], "millrace: 203.0.113.1 is no address of this machine."],
    ] as const) {
      const gateway = await startGateway(runtime, args);
      expect(await gateway.exited).toEqual({ code: 1, signal: null });
      expect(gateway.output()).toContain(message);
      expect(gateway.output()).not.toMatch(/^\s+at /m);
    }
    await new Promise((resolve) => server.close(resolve));
  });
});

test("millrace gateway refuses a bad port with exit code 2", async () => {
  const gateway = await startGateway("node", ["--port", "http"]);
  expect(await gateway.exited).toEqual({ code: 2, signal: null });
  expect(gateway.output()).toContain("It takes a whole number from 0 to 65535");
});
