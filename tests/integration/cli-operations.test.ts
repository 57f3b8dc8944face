import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { connect } from "../../engine/index.ts";
import { adminKey } from "../support/admin-key.ts";
import { figureOf } from "../support/metrics.ts";
import { missing, RUNTIMES, type Runtime, startFile } from "../support/process.ts";
import { adding } from "../support/programs/definitions.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const DEFINITIONS = ["--workflows", "tests/support/programs/definitions.ts"];

async function start(runtime: Runtime, command: string, args: readonly string[], more: Record<string, string> = {}) {
  const namespace = freshNamespace();
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: await temporaryDir(), ...more };
  const started = startFile(runtime, "cli/main.ts", { args: [command, ...DEFINITIONS, ...args], env });
  return Object.assign(started, { namespace });
}

const urlIn = (line: string) => line.slice(line.indexOf("http://"));
const statusOf = async (url: string, init?: RequestInit) => (await fetch(url, init)).status;

describe.each(RUNTIMES)("under %s", (runtime) => {
  test.skipIf(missing(runtime))("a port for operators has what is theirs, and the other has not", async () => {
    const gateway = await start(runtime, "gateway", ["--port", "0", "--admin-port", "0"]);
    const url = urlIn(await gateway.line(/^listening on http/));
    const admin = urlIn(await gateway.line(/^for operators on http:\/\/127\.0\.0\.1:\d+$/));
    const headers = await adminKey(gateway.namespace, redisUrl);
    for (const path of ["/v1/keys", "/v1/subscriptions", "/v1/paused", "/v1/dead-letters"]) {
      expect([path, await statusOf(url + path, { headers })]).toEqual([path, 404]);
      expect([path, await statusOf(admin + path)]).toEqual([path, 401]);
      expect([path, await statusOf(admin + path, { headers })]).toEqual([path, 200]);
    }
    const put = { method: "PUT", headers: { ...headers, "Content-Type": "application/json" }, body: '{"value":1}' };
    expect(await statusOf(`${url}/v1/config/limit`, put)).toBe(405);
    expect(await statusOf(`${admin}/v1/config/limit`, put)).toBe(200);
    expect(await statusOf(`${url}/v1/config/limit`, { headers })).toBe(200);
    expect(await statusOf(`${url}/metrics`, { headers })).toBe(404);
    const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, unknown> };
    expect(Object.keys(paths)).toContain("/v1/runs/{id}");
    expect(Object.keys(paths)).not.toContain("/v1/keys");
    // Of both ports, without a key, and of the process.
    const text = await (await fetch(`${admin}/metrics`)).text();
    expect(figureOf(text, "millrace_http_requests_total", { route: "/v1/keys", status: "200" })).toBe(1);
    expect(figureOf(text, "millrace_http_requests_total", { route: "/v1/config/{key}", method: "GET" })).toBe(1);
    expect(figureOf(text, "process_resident_memory_bytes")).toBeGreaterThan(1_000_000);
    expect(figureOf(text, "millrace_event_loop_lag_seconds")).toBeGreaterThanOrEqual(0);
    gateway.kill("SIGTERM");
    expect(await gateway.exited).toEqual({ code: 0, signal: null });
  });

  test.skipIf(missing(runtime))("a worker tells of its steps, if it is asked to", async () => {
    const worker = await start(runtime, "worker", ["--metrics-port", "0"]);
    const url = urlIn(await worker.line(/^metrics on http:\/\/127\.0\.0\.1:\d+\/metrics$/));
    const millrace = await connect({ url: redisUrl, namespace: worker.namespace, workflows: [adding] });
    const { id } = await millrace.runs.start("adding", { n: 1 });
    for await (const _ of millrace.watch(id, { signal: AbortSignal.timeout(20_000) }));
    await millrace.close();
    const text = await (await fetch(url)).text();
    for (const step of ["one", "two"]) {
      const labels = { workflow: "adding", version: "1", step };
      expect(figureOf(text, "millrace_step_attempts_total", { ...labels, outcome: "completed" })).toBe(1);
      expect(figureOf(text, "millrace_step_duration_seconds_count", labels)).toBe(1);
    }
    expect(figureOf(text, "millrace_reader_alive")).toBe(1);
    expect(await statusOf(url.replace("/metrics", "/readyz"))).toBe(200);
    worker.kill("SIGTERM");
    expect(await worker.exited).toEqual({ code: 0, signal: null });
  });
});

test("a port for operators that cannot be had is named, and the other one is let go of", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const gateway = await start("node", "gateway", ["--port", "0"], { MILLRACE_ADMIN_PORT: String(port) });
  expect(await gateway.exited).toEqual({ code: 1, signal: null });
  expect(gateway.output()).toContain(`Port ${port} of 127.0.0.1 is in use. Give another with --admin-port`);
  await new Promise((resolve) => server.close(resolve));
});

test("limits are given by name, and others are refused", async () => {
  const gateway = await start("node", "gateway", ["--port", "0", "--limit", "jsonBytes=20", "--limit", "waitMs=1000"]);
  const url = urlIn(await gateway.line(/^listening on http/));
  const headers = { ...(await adminKey(gateway.namespace, redisUrl)), "Content-Type": "application/json" };
  const body = '{"input": {"n": 1}, "metadata": {}}';
  expect(await statusOf(`${url}/v1/workflows/adding/runs`, { method: "POST", headers, body })).toBe(413);
  await gateway.stop();
  for (const wrong of ["jsonByte=20", "jsonBytes=0", "jsonBytes=1e3", "jsonBytes", "waitMs=9999999999"]) {
    const refused = await start("node", "gateway", ["--limit", wrong]);
    expect(await refused.exited).toEqual({ code: 2, signal: null });
  }
});

describe.each(["json", "text"])("the log, as %s,", (format) => {
  test("has a line of each request, and no secret, wherever that was sent", async () => {
    const gateway = await start("node", "gateway", ["--port", "0"], { LOG_FORMAT: format, LOG_LEVEL: "trace" });
    const url = urlIn(await gateway.line(/^listening on http/));
    const { Authorization } = await adminKey(gateway.namespace, redisUrl);
    const secrets = [
      Authorization.slice("Bearer ".length),
      `mr_${"0".repeat(32)}_${"a".repeat(52)}`,
      `mrt_${"b".repeat(52)}`,
      "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ",
    ];
    for (const secret of secrets)
      for (const spelled of [secret, secret.replace("_", "%5F")]) {
        const json = { "Content-Type": "application/json" };
        const [header, path] = [{ Authorization: `Bearer ${secret}` }, encodeURIComponent(secret)];
        await fetch(`${url}/v1/runs?ticket=${spelled}&after=${spelled}`);
        await fetch(`${url}/v1/live?ticket=${spelled}`);
        await fetch(`${url}/v1/runs/${spelled}`, { headers: header });
        await fetch(`${url}/${path}?key=${spelled}`, { headers: { ...header, Cookie: spelled, "User-Agent": secret } });
        await fetch(`${url}/v1/runs`, { headers: { Authorization: `Basic ${secret}`, Origin: secret } });
        await fetch(`${url}/v1/runs`, { headers: { ...header, "Idempotency-Key": secret, "X-Request-Id": "a" } });
        const body = JSON.stringify({ input: { n: secret }, [secret]: secret });
        for (const content of [body, body.slice(0, -1), secret])
          await fetch(`${url}/v1/workflows/adding/runs`, {
            method: "POST",
            headers: { ...header, ...json },
            body: content,
          });
        await fetch(`${url}/v1/documents?name=${spelled}`, { method: "POST", headers: header, body: secret });
      }
    const traceparent = `00-${"4".repeat(32)}-${"5".repeat(16)}-01`;
    const asked = await fetch(`${url}/v1/runs`, { headers: { Authorization, "X-Request-Id": "mine-1", traceparent } });
    expect(asked.headers.get("x-request-id")).toBe("mine-1");
    await gateway.stop();
    const output = gateway.output();
    for (const secret of secrets) {
      expect(output).not.toContain(secret);
      expect(output).not.toContain(secret.slice(-20));
    }
    if (format === "text") return expect(output).toMatch(/\[INF\].*'GET' '\/v1\/runs' 200/);
    const lines = output.split("\n").filter((line) => line.startsWith("{"));
    const mine = lines.map((line) => JSON.parse(line)).filter(({ requestId }) => requestId === "mine-1");
    expect(mine).toEqual([
      {
        ...{ "@timestamp": expect.any(String), level: "INFO", logger: "millrace.gateway", message: expect.any(String) },
        ...{ requestId: "mine-1", method: "GET", route: "/v1/runs", status: 200, durationMs: expect.any(Number) },
        ...{ tenant: "default", caller: expect.stringMatching(/^key /), keyId: expect.any(String) },
        traceId: "4".repeat(32),
      },
    ]);
  });
});
