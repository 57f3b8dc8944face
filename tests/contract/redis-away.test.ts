import { afterAll, beforeAll, expect, test } from "vitest";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { answerOf, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestSocket } from "../support/live-clients.ts";
import { ROOT, temporaryDir } from "../support/run.ts";

const { workflows } = gatewayWorkflows();
let redis: PrivateRedis;
let gateway: TestGateway;
beforeAll(async () => {
  redis = await startPrivateRedis({ dir: await temporaryDir(), appendOnly: false, home: `${ROOT}.millrace` });
  gateway = await startGateway({ workflows, worker: false, url: redis.url });
});
afterAll(() => gateway.close());

test("a gateway without its Redis lives, and says of everything else that it may be tried again", async () => {
  expect((await gateway.call("GET", "/readyz")).status).toBe(200);
  const socket = new TestSocket(`${gateway.url}/v1/live`);
  await socket.opened;
  await redis.stop();
  const sent = fetch(`${gateway.url}/v1/documents?workflow=measure&name=a.txt`, { method: "POST", body: "hello" });
  const answers = await Promise.all([
    gateway.call("GET", "/readyz"),
    gateway.call("POST", "/v1/workflows/greet/runs", { input: { name: "a" } }),
    gateway.call("GET", "/v1/runs"),
    gateway.call("GET", `/v1/runs/${"0".repeat(32)}-0/events`),
    gateway.call("GET", "/v1/queues"),
    sent.then(answerOf),
  ]);
  for (const { status, headers, body } of answers) {
    expect(status).toBe(503);
    expect(headers.get("retry-after")).toBe("1");
    expect(body).toMatchObject({ type: "urn:millrace:problem:unavailable", status: 503 });
    expect(JSON.stringify(body)).not.toContain("127.0.0.1");
  }
  socket.send({ type: "signal", run: `${"0".repeat(32)}-0`, name: "approve", id: "away" });
  expect(await socket.ofType("error")).toMatchObject({
    problem: { type: "urn:millrace:problem:unavailable", status: 503, retryAfter: 1, id: "away" },
  });
  socket.socket.close();
  await socket.closed;
  // Any other status would have clients of the tus protocol begin anew.
  const head = { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } };
  const upload = await fetch(`${gateway.url}/v1/uploads/${"0".repeat(32)}`, head);
  expect([upload.status, upload.headers.get("retry-after")]).toEqual([423, "1"]);
  expect(await gateway.call("GET", "/livez")).toMatchObject({ status: 200 });
  // Redis may have stored the run that it did not confirm: the document stays for it.
  expect(await gateway.blobFiles()).toHaveLength(2);
  expect(gateway.logged.some(({ message }) => message.includes("kept document"))).toBe(true);
});
