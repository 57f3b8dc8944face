import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { type WebhookBench, webhookBench } from "../support/webhooks.ts";

const { workflows } = gatewayWorkflows();
let bench: WebhookBench;
beforeAll(async () => {
  bench = await webhookBench(workflows, { policy: {} });
});
afterAll(async () => {
  expect(bench.gateway.logged).toEqual([]);
  await bench[Symbol.asyncDispose]();
});

const WEBHOOK = { url: "https://hooks.example/millrace", events: ["run.completed"] };
const call = (method: string, path = "", body?: unknown, tenant = "default") =>
  bench.as(tenant)(method, `/v1/webhooks${path}`, body);

test("a webhook is made, shown, listed, changed and deleted", async () => {
  const settings = { ...WEBHOOK, workflows: ["greet"], tags: ["vip"], description: "the shop" };
  const { status, headers, body } = await call("POST", "", settings);
  const { secret, ...webhook } = body;
  expect([status, webhook]).toEqual([
    201,
    {
      ...settings,
      id: expect.stringMatching(/^wh_[0-9a-f]{32}$/),
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    },
  ]);
  expect(secret).toMatch(/^whsec_/);
  const path = `/${webhook.id}`;
  expect(headers.get("location")).toBe(`/v1/webhooks${path}`);
  expect((await call("GET", path)).body).toEqual(webhook);
  const second = await call("POST", "", WEBHOOK);
  const listed = (await call("GET")).body.data.map(({ id }: { id: string }) => id);
  expect(listed).toEqual([webhook.id, second.body.id]);
  const changed = await call("PATCH", path, { events: ["run.failed"], tags: null, disabled: true });
  const { tags: _, ...rest } = webhook;
  expect([changed.status, changed.body]).toEqual([
    200,
    { ...rest, events: ["run.failed"], disabled: true, updatedAt: expect.any(String) },
  ]);
  expect((await call("PATCH", path, {})).body).toMatchObject({ events: ["run.failed"], workflows: ["greet"] });
  for (const id of [webhook.id, second.body.id]) expect((await call("DELETE", `/${id}`)).status).toBe(204);
  expect((await call("DELETE", path)).status).toBe(404);
  expect((await call("GET")).body).toEqual({ data: [] });
});

describe("is refused:", () => {
  test.each([
    ["no URL", { events: ["run.completed"] }],
    ["http", { ...WEBHOOK, url: "http://hooks.example/" }],
    ["an address inside", { ...WEBHOOK, url: "https://169.254.169.254/latest" }],
    ["an address inside, written otherwise", { ...WEBHOOK, url: "https://[::ffff:10.0.0.1]/" }],
    ["a password in the URL", { ...WEBHOOK, url: "https://a:b@hooks.example/" }],
    ["no URL at all", { ...WEBHOOK, url: "hooks" }],
    ["no events", { ...WEBHOOK, events: [] }],
    ["an event that is only for those who watch", { ...WEBHOOK, events: ["step.output"] }],
    ["an event that there is not", { ...WEBHOOK, events: ["run.done"] }],
    ["a list of no workflows", { ...WEBHOOK, workflows: [] }],
    ["an odd tag", { ...WEBHOOK, tags: ["a b"] }],
    ["a secret of the caller's", { ...WEBHOOK, secret: "whsec_AAAA" }],
    ["a long description", { ...WEBHOOK, description: "x".repeat(501) }],
  ])("%s", async (_, body) => {
    const made = await call("POST", "", body, "refused");
    expect([made.status, made.headers.get("content-type")]).toEqual([422, "application/problem+json"]);
    expect((await call("GET", "", undefined, "refused")).body).toEqual({ data: [] });
  });

  test.each([{ url: null }, { url: "http://a.example/" }, { events: null }, { events: [] }, { id: "wh_1" }])(
    "a change to %j",
    async (change) => {
      const { body } = await call("POST", "", WEBHOOK, "changed");
      expect((await call("PATCH", `/${body.id}`, change, "changed")).status).toBe(422);
      expect((await call("DELETE", `/${body.id}`, undefined, "changed")).status).toBe(204);
    },
  );

  test.each([{ overlapMs: -1 }, { overlapMs: 1.5 }, { overlapMs: 31 * 86_400_000 }, { secret: "mine" }])(
    "a rotation with %j",
    async (body) => {
      const webhook = (await call("POST", "", WEBHOOK, "rotated")).body;
      expect((await call("POST", `/${webhook.id}/secret`, body, "rotated")).status).toBe(422);
      await call("DELETE", `/${webhook.id}`, undefined, "rotated");
    },
  );
});

test("a tenant has fifty at the most", async () => {
  const one = { ...WEBHOOK, disabled: true };
  for (let i = 0; i < 50; i += 1) expect((await call("POST", "", one, "many")).status).toBe(201);
  const { status, body } = await call("POST", "", one, "many");
  expect([status, body.type]).toEqual([409, "urn:millrace:problem:collection-full"]);
  expect((await call("POST", "", one, "few")).status).toBe(201);
});

test.each(["wh_none", "a b", "x".repeat(65)])("there is no webhook %j", async (id) => {
  const path = `/${encodeURIComponent(id)}`;
  for (const [method, of, body] of [
    ["GET", path],
    ["PATCH", path, {}],
    ["DELETE", path],
    ["POST", `${path}/secret`],
    ["POST", `${path}/test`],
    ["GET", `${path}/deliveries`],
    ["POST", `${path}/deliveries/a/redeliver`],
  ] as const)
    expect([method, of, (await call(method, of, body)).status]).toEqual([method, of, 404]);
});

test("a test with an Idempotency-Key is one message", async () => {
  const { id } = (await call("POST", "", { ...WEBHOOK, url: "https://198.18.0.9.invalid/" })).body;
  const ping = () => bench.gateway.call("POST", `/v1/webhooks/${id}/test`, undefined, { "Idempotency-Key": "k" });
  const [first, second] = [await ping(), await ping()];
  expect([first.status, first.body.type]).toEqual([202, "ping"]);
  expect(second.body.id).toBe(first.body.id);
  expect((await call("DELETE", `/${id}`)).status).toBe(204);
});

test("webhooks take the right to read what they tell of", async () => {
  const as = (scopes: string, method: string, body?: unknown) =>
    bench.gateway.call(method, "/v1/webhooks", body, { "x-scopes": scopes });
  expect((await as("webhooks:write", "POST", WEBHOOK)).status).toBe(403);
  expect((await as("webhooks:write runs:read", "POST", { ...WEBHOOK, disabled: true })).status).toBe(201);
});

describe("where nothing delivers", () => {
  let bare: TestGateway;
  beforeAll(async () => {
    bare = await startGateway({ workflows, worker: false });
  });
  afterAll(() => bare.close());

  test("no webhook is made", async () => {
    const { status, body } = await bare.call("POST", "/v1/webhooks", WEBHOOK);
    expect([status, body.detail]).toEqual([404, 'There is no workflow "webhook-delivery".']);
    expect((await bare.call("GET", "/v1/subscriptions")).body).toEqual({ data: [] });
  });
});
