import { Webhook } from "standardwebhooks";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { WebhookService } from "../../workflows/webhooks/service.ts";
import { webhookDelivery } from "../../workflows/webhooks/workflow.ts";
import { answerOf, startGateway, type TestGateway } from "../support/gateway.ts";
import { type KeyLimits, limitedKey } from "../support/limited-key.ts";
import { Receiver } from "../support/receiver.ts";
import { LOOPBACK } from "../support/webhooks.ts";

const echo = workflow("echo", { input: v.unknown() }).step("back", (input) => input);
const asking = workflow("asking", { input: v.unknown() }).waitFor("answer", { schema: v.any() });
let gateway: TestGateway;
let service: WebhookService;

beforeAll(async () => {
  const delivery = webhookDelivery({ policy: LOOPBACK, millrace: () => gateway.millrace });
  gateway = await startGateway({ workflows: [echo, asking, delivery], webhooks: LOOPBACK, keys: true });
  service = new WebhookService(gateway.millrace, { deliver: false });
  await service.start();
});
afterAll(async () => {
  await service.stop();
  await gateway.close();
});

const keyOf = (limits: KeyLimits, tenant?: string) => limitedKey(gateway, limits, tenant);
type Call = Awaited<ReturnType<typeof keyOf>>["call"];

const START = { start: "echo" };
async function hookOf(call: Call, action: object = START) {
  const { status, body } = await call("POST", "/v1/inbound-hooks", { scheme: "standard-webhooks", action });
  expect([status, Object.keys(body)]).toEqual([201, expect.not.arrayContaining(["limits", "secrets"])]);
  return body as { id: string; secret: string };
}

let messages = 0;
async function send({ id, secret }: { id: string; secret: string }, message = `msg_${++messages}`, body = "{}") {
  const at = new Date();
  const headers = {
    ...{ "webhook-id": message, "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)) },
    "webhook-signature": new Webhook(secret).sign(message, at, body),
  };
  return answerOf(await fetch(`${gateway.url}/v1/hooks/${id}`, { method: "POST", body, headers }));
}

const refused = (type: string) => ({ status: 429, body: { status: 429, type: `urn:millrace:problem:${type}` } });
const startRun = (call: Call) => call("POST", "/v1/workflows/echo/runs", { input: {} });

describe("what comes in by a hook counts as the key's that made it", () => {
  test("its runs a day: with those that the key starts itself, and a repeated message once", async () => {
    const { call } = await keyOf({ quota: { runsPerDay: 3 } });
    const hook = await hookOf(call);
    expect((await send(hook, "same")).status).toBe(202);
    expect((await send(hook, "same")).status).toBe(202);
    expect((await startRun(call)).status).toBe(202);
    expect((await send(hook)).status).toBe(202);
    const answer = await send(hook, "late");
    expect(answer).toMatchObject(refused("quota"));
    const seconds = Number(answer.headers.get("retry-after"));
    expect([seconds > 0, seconds <= 86_400]).toEqual([true, true]);
    expect(await startRun(call)).toMatchObject(refused("quota"));
    expect((await call("GET", "/v1/runs")).body.data).toHaveLength(3);
  });

  test("a message that starts nothing takes none of them, and one that is not signed takes nothing at all", async () => {
    const { call } = await keyOf({ quota: { runsPerDay: 1 }, rateLimit: { requests: 5, windowMs: 3_600_000 } });
    const run = (await call("POST", "/v1/workflows/asking/runs", { input: {} })).body.id;
    const [hook, telling] = [await hookOf(call), await hookOf(call, { signal: "answer", runFrom: "run" })];
    for (let n = 0; n < 10; n += 1)
      expect((await send({ ...hook, secret: `whsec_${btoa("x".repeat(24))}` })).status).toBe(401);
    const told = await send(telling, "first", JSON.stringify({ run }));
    expect([told.status, told.headers.get("ratelimit")]).toEqual([202, expect.stringContaining('"requests";r=1;')]);
  });

  test("its rate, and what is refused may come again", async () => {
    const { call, tenant } = await keyOf({ rateLimit: { requests: 3, windowMs: 3_600_000 } });
    const hook = await hookOf(call);
    expect([(await send(hook)).status, (await send(hook)).status]).toEqual([202, 202]);
    const answer = await send(hook, "again");
    expect(answer).toMatchObject(refused("rate-limit"));
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    await (await keyOf({}, tenant)).call("PATCH", `/v1/inbound-hooks/${hook.id}`, { disabled: false });
    expect((await send(hook, "again")).status).toBe(202);
  });

  test("or that last changed it: nobody gets past a limit by somebody else's hook", async () => {
    const free = await keyOf({});
    const limited = await keyOf({ quota: { runsPerDay: 1 } }, free.tenant);
    const hook = await hookOf(free.call);
    for (let n = 0; n < 3; n += 1) expect((await send(hook)).status).toBe(202);
    const secret = (await limited.call("POST", `/v1/inbound-hooks/${hook.id}/secret`)).body.secret;
    expect((await send({ ...hook, secret })).status).toBe(202);
    expect(await send({ ...hook, secret })).toMatchObject(refused("quota"));
    expect((await free.call("PATCH", `/v1/inbound-hooks/${hook.id}`, { description: "ours" })).status).toBe(200);
    expect((await send({ ...hook, secret })).status).toBe(202);
    const changed = await limited.call("PATCH", `/v1/inbound-hooks/${hook.id}`, { action: START });
    expect([changed.status, changed.body]).toEqual([200, expect.not.objectContaining({ limits: expect.anything() })]);
    expect(await send({ ...hook, secret })).toMatchObject(refused("quota"));
  });
});

test("deliveries of webhooks count for no key", async () => {
  await using receiver = await Receiver.start();
  const { call } = await keyOf({ quota: { runsPerDay: 2 } });
  const webhook = { url: receiver.url(), events: ["run.completed"] };
  expect((await call("POST", "/v1/webhooks", webhook)).status).toBe(201);
  for (let n = 1; n <= 2; n += 1) {
    expect((await startRun(call)).status).toBe(202);
    await expect.poll(() => receiver.posted.length).toBe(n);
  }
  expect(await startRun(call)).toMatchObject(refused("quota"));
});
