import { expect, test } from "vitest";
import { redisBlobs } from "../../../engine/redis-blobs.ts";
import { eventually, startGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { TestSocket } from "../../support/live-clients.ts";
import { rawRedis } from "../../support/redis.ts";
import { aclRedis } from "../../support/servers/acl.ts";
import { leastRights } from "../../support/servers/rights.ts";

const TUS = { "Tus-Resumable": "1.0.0" };
/** Asked for, and done without. */
const OPTIONAL = ["config|get"];

test("the gateway and a worker do everything as the user of Redis that the README prints", async () => {
  await using redis = await aclRedis();
  await redis.set("engine", ...(await leastRights("test-*", "engine")));
  const url = redis.as("engine", "engine");
  const { workflows, broken } = gatewayWorkflows();
  const blobs = await redisBlobs({ url, namespace: "test-rights-blobs" });
  const gateway = await startGateway({ workflows, url, keys: true, blobs });
  try {
    const { keys } = gateway.millrace.access;
    const { secret } = await keys.create({
      tenant: "acme",
      name: "a",
      scopes: ["admin"],
      rateLimit: { requests: 10_000, windowMs: 1_000 },
    });
    const key = { Authorization: `Bearer ${secret}` };
    const call = async (method: string, path: string, status: number, body?: unknown) => {
      const answer = await gateway.call(method, path, body, { ...key, "Idempotency-Key": path });
      expect([method, path, answer.status], JSON.stringify(answer.body)).toEqual([method, path, status]);
      return answer.body;
    };
    const bytes = async (method: string, path: string, headers: Record<string, string>, body: string) =>
      fetch(gateway.url + path, { method, headers: { ...key, ...TUS, ...headers }, body });

    // Keys and tickets.
    const made = await call("POST", "/v1/keys", 201, {
      name: "b",
      scopes: ["runs:read", "runs:write"],
      quota: { runsPerDay: 5 },
    });
    await call("GET", "/v1/keys", 200);
    await call("POST", `/v1/keys/${made.id}/rotate`, 200, { overlapMs: 0 });
    const { id: run } = await call("POST", "/v1/workflows/greet/runs", 202, { input: { name: "Ada" }, tags: ["a"] });
    const { ticket } = await call("POST", "/v1/tickets", 201, { runs: [run] });
    const socket = new TestSocket(`${gateway.url}/v1/runs/${run}/events?ticket=${ticket}&after=0`);
    await socket.ofType("run.completed");
    await socket.closed;
    await call("DELETE", `/v1/keys/${made.id}`, 204);

    // Documents and uploads, with their bytes in Redis too.
    const document = await bytes("POST", "/v1/documents?workflow=measure&name=a.txt", {}, "x".repeat(100_000));
    expect(document.status).toBe(202);
    const { document: stored } = (await document.json()) as { document: { id: string } };
    const begun = await bytes(
      "POST",
      "/v1/uploads",
      { "Upload-Length": "10", "Content-Type": "application/offset+octet-stream" },
      "hello",
    );
    const upload = begun.headers.get("location")!;
    const done = await bytes(
      "PATCH",
      upload,
      { "Upload-Offset": "5", "Content-Type": "application/offset+octet-stream" },
      "world",
    );
    expect(done.status).toBe(204);
    expect(await (await fetch(`${gateway.url}${done.headers.get("location")}`, { headers: key })).text()).toBe(
      "helloworld",
    );
    for (const path of [`/v1/documents/${stored.id}`, upload])
      expect((await bytes("DELETE", path, {}, "")).status).toBe(204);

    // What operators do.
    broken.add("Bob");
    await call("POST", "/v1/workflows/fragile/runs", 202, { input: { name: "Bob" } });
    const letters = await eventually(
      () => gateway.call("GET", "/v1/dead-letters", undefined, key),
      ({ body }) => body.data.length === 1,
    );
    broken.delete("Bob");
    await call("POST", `/v1/dead-letters/${letters.body.data[0].id}/replay`, 202, {});
    await call("POST", "/v1/dead-letters/discard", 202, { workflow: "greet" });
    await call("PUT", "/v1/schedules/nightly", 201, { workflow: "greet", input: { name: "a" }, every: 3_600_000 });
    await call("POST", "/v1/schedules/nightly/trigger", 202);
    await call("DELETE", "/v1/schedules/nightly", 204);
    await call("PUT", "/v1/config/a.key", 200, { value: 1 });
    await call("DELETE", "/v1/config/a.key", 204);
    await call("PUT", "/v1/subscriptions/billing", 200, {});
    await call("GET", "/v1/subscriptions", 200);
    await call("DELETE", "/v1/subscriptions/billing", 204);
    await call("POST", "/v1/workflows/greet/pause", 200);
    await call("POST", "/v1/workflows/greet/resume", 200);
    await call("POST", "/v1/tenants/acme/pause", 200);
    await call("POST", "/v1/tenants/acme/resume", 200);
    for (const path of [
      "/v1/runs",
      "/v1/runs?tag=a",
      "/v1/queues",
      "/v1/workers",
      "/v1/usage",
      "/v1/paused",
      "/v1/workflows",
      "/readyz",
    ])
      await call("GET", path, 200);
    await call("DELETE", `/v1/runs/${run}`, 204);
    expect(gateway.logged).toEqual([]);
  } finally {
    await gateway.close();
    blobs.close();
  }
  const log = (await rawRedis(redis.url).call("ACL", "LOG", "1000")) as unknown[][];
  const refused = log.map((entry) => String(entry[entry.indexOf("object") + 1]));
  expect(refused.filter((what) => !OPTIONAL.includes(what))).toEqual([]);
}, 60_000);
