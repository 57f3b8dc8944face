import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { type Posted, Receiver } from "../../support/receiver.ts";
import { type WebhookBench, webhookBench } from "../../support/webhooks.ts";

const { workflows, broken } = gatewayWorkflows();
let bench: WebhookBench;
beforeAll(async () => {
  bench = await webhookBench(workflows);
});
afterAll(async () => {
  expect(bench.gateway.logged).toEqual([]);
  await bench[Symbol.asyncDispose]();
});

type Call = ReturnType<WebhookBench["as"]>;
const COMPLETED = { events: ["run.completed"] };

async function made(call: Call, settings: Record<string, unknown>) {
  const { status, body } = await call("POST", "/v1/webhooks", settings);
  expect([status, body.secret]).toEqual([201, expect.stringMatching(/^whsec_/)]);
  return body as { id: string; secret: string };
}

async function started(call: Call, workflow: string, input: unknown, more: object = {}): Promise<string> {
  const { status, body } = await call("POST", `/v1/workflows/${workflow}/runs`, { input, ...more });
  expect(status).toBe(202);
  return body.id;
}

const verified = (secret: string, { body, headers }: Posted) => new Webhook(secret).verify(body, headers);

test("the end of a run is posted once, signed as the library of Standard Webhooks wants it", async () => {
  await using receiver = await Receiver.start();
  const call = bench.as("signed");
  const { id, secret } = await made(call, { ...COMPLETED, url: receiver.url("/hook?a=b") });
  const run = await started(call, "greet", { name: "Ada" });
  await expect.poll(() => receiver.posted.length).toBe(1);
  const [posted] = receiver.posted as [Posted];
  expect(posted).toMatchObject({ method: "POST", path: "/hook?a=b" });
  expect(posted.headers).toMatchObject({
    "content-type": "application/json",
    host: `127.0.0.1:${receiver.port}`,
    "webhook-id": expect.stringMatching(new RegExp(`^${run}_\\d+-[0-9a-z]+$`)),
  });
  expect(verified(secret, posted)).toEqual({
    type: "run.completed",
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
    data: {
      ...{ run, workflow: "greet", version: 1, output: { text: "Hello Ada" } },
      ...{ seq: expect.any(Number), cursor: expect.any(String) },
    },
  });
  const log = async () => (await call("GET", `/v1/webhooks/${id}/deliveries`)).body;
  await expect.poll(async () => (await log()).data[0].status).toBe("delivered");
  expect(await log()).toEqual({
    data: [
      {
        ...{ id: expect.any(String), message: posted.headers["webhook-id"], type: "run.completed" },
        ...{ status: "delivered", attempts: 1, createdAt: expect.any(String), endedAt: expect.any(String) },
        response: { status: 204, durationMs: expect.any(Number), body: "" },
      },
    ],
  });
});

test("events, workflows and tags choose, and deliveries tell of nothing themselves", async () => {
  await using receiver = await Receiver.start();
  const call = bench.as("choosing");
  await made(call, { url: receiver.url("/steps"), events: ["step.completed", "run.completed"], workflows: ["greet"] });
  await made(call, { url: receiver.url("/tagged"), ...COMPLETED, tags: ["vip", "other"] });
  await made(call, { url: receiver.url("/failed"), events: ["run.failed"] });
  const off = await made(call, { url: receiver.url("/off"), ...COMPLETED, disabled: true });
  // Of its own deliveries nobody can ask to be told.
  await made(call, { url: receiver.url("/all"), events: ["run.queued", "run.completed", "step.completed"] });
  broken.add("bad");
  await started(call, "greet", { name: "Ada" });
  await started(call, "greet", { name: "Eve" }, { tags: ["vip"] });
  await started(call, "fragile", { name: "bad" });
  await started(call, "fragile", { name: "good" });

  const expected = [
    ...["/steps step.completed", "/steps run.completed", "/steps step.completed", "/steps run.completed"],
    ...["/tagged run.completed", "/failed run.failed"],
    ...["/all run.queued", "/all run.queued", "/all run.queued", "/all run.queued"],
    ...["/all step.completed", "/all step.completed", "/all step.completed"],
    ...["/all run.completed", "/all run.completed", "/all run.completed"],
  ].sort();
  const got = () => receiver.posted.map(({ path, body }) => `${path} ${JSON.parse(body).type}`).sort();
  await expect.poll(got).toEqual(expected);
  // All that there was to handle is handled, deliveries of deliveries among it.
  await idle();
  expect(got()).toEqual(expected);
  expect((await call("GET", `/v1/webhooks/${off.id}/deliveries`)).body).toEqual({ data: [] });
  const { body } = await call("GET", "/v1/runs?workflow=webhook-delivery&limit=100");
  expect(body.data).toHaveLength(expected.length);
});

/** Resolves when no event waits for a webhook and no delivery is under way. */
async function idle(): Promise<void> {
  const { millrace } = bench.gateway;
  const left = async () => {
    const groups = await millrace.subscriptions.list();
    const queued = await millrace.queues();
    const waiting = groups.map(({ waiting, inHand, retrying }) => waiting + inHand + retrying);
    return [...waiting, ...queued.map(({ depth, inFlight }) => depth + inFlight)].reduce((sum, each) => sum + each, 0);
  };
  await expect.poll(left).toBe(0);
  await expect.poll(left).toBe(0);
}

test("a tenant's webhooks are nobody else's, and hear of no other's runs", async () => {
  await using receiver = await Receiver.start();
  const [a, b] = [bench.as("tenant-a"), bench.as("tenant-b")];
  const ofA = await made(a, { url: receiver.url("/a"), ...COMPLETED });
  const ofB = await made(b, { url: receiver.url("/b"), ...COMPLETED });
  await started(a, "greet", { name: "Ada" });
  await expect.poll(() => receiver.posted.map(({ path }) => path)).toEqual(["/a"]);
  const [delivery] = (await a("GET", `/v1/webhooks/${ofA.id}/deliveries`)).body.data;
  const of = `/v1/webhooks/${ofA.id}`;
  for (const [method, path, body] of [
    ["GET", of],
    ["PATCH", of, { description: "mine" }],
    ["DELETE", of],
    ["POST", `${of}/secret`],
    ["POST", `${of}/test`],
    ["GET", `${of}/deliveries`],
    ["POST", `${of}/deliveries/${delivery.id}/redeliver`],
    // Nor by way of one's own.
    ["POST", `/v1/webhooks/${ofB.id}/deliveries/${delivery.id}/redeliver`],
  ] as const)
    expect([method, path, (await b(method, path, body)).status]).toEqual([method, path, 404]);
  expect((await b("GET", "/v1/webhooks")).body.data.map(({ id }: { id: string }) => id)).toEqual([ofB.id]);
  expect((await a("GET", of)).body).not.toHaveProperty("description");
  await idle();
  expect(receiver.posted).toHaveLength(1);
});

test("while secrets overlap both sign; without an overlap the new one alone", async () => {
  await using receiver = await Receiver.start();
  const call = bench.as("rotating");
  const { id, secret: first } = await made(call, { url: receiver.url(), ...COMPLETED });
  const rotate = async (body?: object) => (await call("POST", `/v1/webhooks/${id}/secret`, body)).body.secret;
  const second = await rotate();
  await call("POST", `/v1/webhooks/${id}/test`);
  await expect.poll(() => receiver.posted.length).toBe(1);
  const [ping] = receiver.posted as [Posted];
  for (const secret of [first, second])
    expect(verified(secret, ping)).toMatchObject({ type: "ping", data: { webhook: id } });
  const third = await rotate({ overlapMs: 0 });
  await call("POST", `/v1/webhooks/${id}/test`);
  await expect.poll(() => receiver.posted.length).toBe(2);
  const last = receiver.posted[1]!;
  expect(verified(third, last)).toMatchObject({ type: "ping" });
  for (const secret of [first, second]) expect(() => verified(secret, last)).toThrow("No matching signature");
  expect(JSON.stringify((await call("GET", `/v1/webhooks/${id}`)).body)).not.toContain("whsec_");
  // What is stored with the runs has no secret in it.
  const { body } = await call("GET", "/v1/runs?workflow=webhook-delivery");
  for (const run of body.data)
    expect(JSON.stringify((await call("GET", `/v1/runs/${run.id}`)).body)).not.toContain("whsec_");
});

describe("a receiver", () => {
  test("that is gone (410) disables its webhook, which can be enabled again and the message redelivered", async () => {
    await using receiver = await Receiver.start();
    receiver.answer = () => ({ status: 410, body: "no such shop\n" });
    const call = bench.as("gone");
    const { id } = await made(call, { url: receiver.url(), ...COMPLETED });
    await started(call, "greet", { name: "Ada" });
    const shown = async () => (await call("GET", `/v1/webhooks/${id}`)).body;
    await expect.poll(shown).toMatchObject({ disabled: true, gone: true });
    const log = async () => (await call("GET", `/v1/webhooks/${id}/deliveries`)).body.data;
    await expect.poll(async () => (await log())[0].status).toBe("failed");
    const [failed] = await log();
    expect(failed).toMatchObject({
      attempts: 1,
      response: { status: 410, body: "no such shop " },
      error: { code: "http_410", message: "The receiver answered 410. The webhook is disabled." },
    });
    // Nothing is sent meanwhile.
    await started(call, "greet", { name: "Eve" });
    await idle();
    expect(receiver.posted).toHaveLength(1);

    receiver.answer = () => ({ status: 200, body: "welcome back" });
    expect((await call("PATCH", `/v1/webhooks/${id}`, { disabled: false })).body).not.toHaveProperty("gone");
    const again = await call("POST", `/v1/webhooks/${id}/deliveries/${failed.id}/redeliver`);
    expect([again.status, again.body]).toEqual([202, expect.objectContaining({ message: failed.message })]);
    await expect.poll(async () => (await log())[0]).toMatchObject({ id: again.body.id, status: "delivered" });
    expect(receiver.posted.map(({ headers }) => headers["webhook-id"])).toEqual([failed.message, failed.message]);
    expect(await log()).toHaveLength(2);
    const other = await call("POST", `/v1/webhooks/${id}/deliveries/nothing/redeliver`);
    expect(other.status).toBe(404);
  });

  test("that redirects is not followed", async () => {
    await using receiver = await Receiver.start();
    await using inside = await Receiver.start();
    receiver.answer = () => ({ status: 307, headers: { Location: inside.url() } });
    const call = bench.as("redirected");
    const { id } = await made(call, { url: receiver.url(), ...COMPLETED });
    await call("POST", `/v1/webhooks/${id}/test`);
    const log = async () => (await call("GET", `/v1/webhooks/${id}/deliveries`)).body.data[0];
    await expect.poll(log).toMatchObject({ status: "pending", attempts: 1, error: { code: "http_307" } });
    expect(inside.posted).toEqual([]);
    const twice = await call("POST", `/v1/webhooks/${id}/deliveries/${(await log()).id}/redeliver`);
    expect([twice.status, twice.body.type]).toEqual([409, "urn:millrace:problem:delivery-pending"]);
    await call("DELETE", `/v1/webhooks/${id}`);
  });

  test("that says more than anybody wants to know is read no further", async () => {
    await using receiver = await Receiver.start();
    let sent = 0;
    receiver.answer = (_, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && sent < 50_000_000) {
          sent += 65_536;
          if (!response.write(Buffer.alloc(65_536, "y"))) return response.once("drain", more);
        }
        return response;
      };
      more();
      return undefined;
    };
    const call = bench.as("talkative");
    const { id } = await made(call, { url: receiver.url(), ...COMPLETED });
    await call("POST", `/v1/webhooks/${id}/test`);
    const log = async () => (await call("GET", `/v1/webhooks/${id}/deliveries`)).body.data[0];
    await expect.poll(log).toMatchObject({ status: "delivered", response: { status: 200, body: "y".repeat(500) } });
    expect(sent).toBeLessThan(50_000_000);
  });
});

test("what is sent to a webhook that is deleted meanwhile is skipped", async () => {
  const { millrace } = bench.gateway;
  const input = {
    webhook: "wh_none",
    message: { id: "m", type: "ping", timestamp: new Date().toISOString(), data: null },
  };
  const { id } = await millrace.runs.start("webhook-delivery", input, { tenant: "deleted" });
  await expect
    .poll(async () => (await millrace.runs.get(id, { tenant: "deleted" })).output)
    .toEqual({
      skipped: "The webhook was deleted.",
    });
});
