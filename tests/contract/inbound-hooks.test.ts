import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { answerOf } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { type WebhookBench, webhookBench } from "../support/webhooks.ts";

const echo = workflow("echo", { input: v.unknown() }).step("back", (input) => input);
const asking = workflow("asking", { input: v.object({}) })
  .waitFor("answer", { schema: v.looseObject({ said: v.string() }) })
  .step("end", ({ said }) => said);

let bench: WebhookBench;
beforeAll(async () => {
  bench = await webhookBench([...gatewayWorkflows().workflows, echo, asking]);
});
afterAll(async () => {
  expect(bench.gateway.logged).toEqual([]);
  await bench[Symbol.asyncDispose]();
});

const call = (method: string, path: string, body?: unknown) => bench.as("receiving")(method, path, body);
const START = { start: "echo" };
const SECRET = "a secret of sixteen";

async function made(settings: object) {
  const { status, body } = await call("POST", "/v1/inbound-hooks", settings);
  expect([status, body]).toEqual([201, expect.objectContaining({ links: { receive: `/v1/hooks/${body.id}` } })]);
  return body;
}

/** As another service posts it: with no key. */
async function post(id: string, body: string, headers: Record<string, string> = {}) {
  return answerOf(await fetch(`${bench.gateway.url}/v1/hooks/${id}`, { method: "POST", body, headers }));
}

function standard(secret: string, body: string, { id = "msg_1", at = new Date() } = {}) {
  return {
    ...{ "webhook-id": id, "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)) },
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
}

const hmac = (body: string, encoding: "hex" | "base64" = "hex", secret = SECRET) =>
  createHmac("sha256", secret).update(body).digest(encoding);

async function runsOf(): Promise<number> {
  return (await call("GET", "/v1/runs?workflow=echo&limit=100")).body.data.length;
}

async function output(run: string): Promise<unknown> {
  const get = async () => (await call("GET", `/v1/runs/${run}`)).body;
  await expect.poll(async () => (await get()).status).toBe("completed");
  return (await get()).output;
}

const BAD = { status: 401, body: expect.objectContaining({ type: "urn:millrace:problem:signature", status: 401 }) };

describe("a message by Standard Webhooks", () => {
  test("starts a run of the hook's tenant, once however often it comes", async () => {
    const { id, secret } = await made({ scheme: "standard-webhooks", action: START });
    expect(secret).toMatch(/^whsec_/);
    const body = '{"name": "Zoë"}';
    const first = await post(id, body, standard(secret, body));
    expect([first.status, first.body]).toEqual([
      202,
      expect.objectContaining({ workflow: "echo", status: "queued", links: expect.anything() }),
    ]);
    expect(first.headers.get("location")).toBe(`/v1/runs/${first.body.id}`);
    expect(await output(first.body.id)).toEqual({ name: "Zoë" });
    expect((await bench.as("other")("GET", `/v1/runs/${first.body.id}`)).status).toBe(404);
    // A second later: signed anew, the same message.
    const later = standard(secret, body, { at: new Date(Date.now() + 1_000) });
    for (const headers of [standard(secret, body), later])
      expect((await post(id, body, headers)).body.id).toBe(first.body.id);
    const changed = await post(id, "{}", standard(secret, "{}"));
    expect([changed.status, changed.body.type]).toEqual([422, "urn:millrace:problem:idempotency-mismatch"]);
    const another = await post(id, body, standard(secret, body, { id: "msg_2" }));
    expect([another.status, another.body.id === first.body.id]).toEqual([202, false]);
  });

  test("is refused if it is not signed so, whatever else is wrong with it", async () => {
    const { id, secret } = await made({ scheme: "standard-webhooks", action: START });
    const before = await runsOf();
    const body = '{"a": 1}';
    const good = standard(secret, body);
    const forged = standard(`whsec_${btoa("x".repeat(32))}`, body);
    for (const [sent, headers] of [
      [body, {}],
      ['{"a": 2}', good],
      [`${body} `, good],
      ["not json", good],
      [body, forged],
      [body, { ...good, "webhook-id": "msg_2" }],
      [body, { ...good, "webhook-id": "" }],
      [body, { ...good, "webhook-timestamp": String(Number(good["webhook-timestamp"]) + 1) }],
      [body, { ...good, "webhook-timestamp": "now" }],
      [body, { ...good, "webhook-signature": "" }],
      [body, { ...good, "webhook-signature": good["webhook-signature"].slice(3) }],
      [body, { ...good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,") }],
      [body, { ...good, "webhook-signature": "v1,***" }],
      [body, { ...good, "webhook-signature": "v1,".repeat(5_000) }],
    ] as const) {
      const { status, body: problem } = await post(id, sent, headers);
      expect([headers, { status, body: problem }]).toEqual([headers, BAD]);
    }
    for (const ms of [-301_000, 302_000]) {
      const { status, body: problem } = await post(id, body, standard(secret, body, { at: new Date(Date.now() + ms) }));
      expect([status, problem.type]).toEqual([401, "urn:millrace:problem:signature-expired"]);
    }
    expect((await post(id, "{", standard(secret, "{"))).status).toBe(400);
    expect((await post(id, '{"a":1,"a":2}', standard(secret, '{"a":1,"a":2}'))).status).toBe(400);
    expect((await post(id, "x".repeat(2_000_000), good)).status).toBe(413);
    expect(await runsOf()).toBe(before);
    const among = { ...good, "webhook-signature": `v1a,AAAA v1,AAAA ${good["webhook-signature"]}` };
    expect((await post(id, body, among)).status).toBe(202);
  });

  test("is checked by the secret before as well while the two overlap", async () => {
    const { id, secret: first } = await made({ scheme: "standard-webhooks", action: START });
    const rotate = async (body?: object) => (await call("POST", `/v1/inbound-hooks/${id}/secret`, body)).body.secret;
    const second = await rotate();
    for (const [secret, message] of [
      [first, "a"],
      [second, "b"],
    ])
      expect((await post(id, "{}", standard(secret, "{}", { id: message! }))).status).toBe(202);
    const third = await rotate({ overlapMs: 0 });
    for (const secret of [first, second])
      expect((await post(id, "{}", standard(secret, "{}", { id: "c" }))).status).toBe(401);
    expect((await post(id, "{}", standard(third, "{}", { id: "c" }))).status).toBe(202);
  });
});

describe("a message with an HMAC", () => {
  test("as GitHub sends it starts a run with the header fields that are asked for", async () => {
    const { id, ...hook } = await made({
      ...{ scheme: "hmac-sha256", secret: SECRET, action: { start: "echo", headers: ["X-GitHub-Event"] } },
      signature: { header: "X-Hub-Signature-256", prefix: "sha256=" },
      messageId: { header: "X-GitHub-Delivery" },
    });
    expect(hook).not.toHaveProperty("secret");
    const body = '{"ref":"main"}';
    const sent = (delivery?: string) => ({
      ...{ "X-Hub-Signature-256": `sha256=${hmac(body)}`, "X-GitHub-Event": "push" },
      ...(delivery === undefined ? {} : { "X-GitHub-Delivery": delivery }),
    });
    const { status, body: run } = await post(id, body, sent("1"));
    expect([status, await output(run.id)]).toEqual([
      202,
      { headers: { "x-github-event": "push" }, body: { ref: "main" } },
    ]);
    expect((await post(id, body, sent("1"))).body.id).toBe(run.id);
    expect((await post(id, body, sent("2"))).body.id).not.toBe(run.id);
    expect((await post(id, body, sent())).status).toBe(422);
    for (const signature of ["", hmac(body), `sha256=${hmac("{}")}`, "sha256=zz", `sha256=${hmac(body, "base64")}`])
      expect(await post(id, body, { ...sent("3"), "X-Hub-Signature-256": signature })).toMatchObject(BAD);
  });

  test("as Stripe sends it: with the time signed, and its id in the body", async () => {
    const { id } = await made({
      ...{ scheme: "hmac-sha256", secret: SECRET, action: START },
      ...{ signature: { header: "Stripe-Signature", timestamped: true }, messageId: { path: "id" } },
    });
    const body = '{"id":"evt_1"}';
    const signed = (at: number) => `t=${at},v1=${hmac("wrong")},v1=${hmac(`${at}.${body}`)},v0=${hmac(body)}`;
    const now = Math.floor(Date.now() / 1_000);
    const first = await post(id, body, { "Stripe-Signature": signed(now) });
    expect(first.status).toBe(202);
    // Sent again, it is signed anew.
    expect((await post(id, body, { "Stripe-Signature": signed(now + 5) })).body.id).toBe(first.body.id);
    for (const at of [now - 400, now + 400])
      expect((await post(id, body, { "Stripe-Signature": signed(at) })).body.type).toMatch(/signature-expired$/);
    for (const signature of [
      "",
      "t=1",
      `v1=${hmac(body)}`,
      `t=${now},v1=${hmac(body)}`,
      signed(now).replace("t=", "t=1"),
    ])
      expect((await post(id, body, { "Stripe-Signature": signature })).status).toBe(401);
  });

  test("in base64, of the body alone: the same body is the same message", async () => {
    const { id } = await made({
      ...{ scheme: "hmac-sha256", secret: SECRET, action: START },
      signature: { header: "X-Signature", encoding: "base64" },
    });
    const send = async (body: string) => post(id, body, { "X-Signature": hmac(body, "base64") });
    const [a, b, c] = [await send('{"n":1}'), await send('{"n":1}'), await send('{"n":2}')];
    expect([a.status, b.body.id === a.body.id, c.body.id === a.body.id]).toEqual([202, true, false]);
    expect((await post(id, '{"n":1}', { "X-Signature": hmac('{"n":1}', "hex") })).status).toBe(401);
  });
});

test("a message is told to the run whose id it carries, once, and to no other tenant's", async () => {
  const hook = await made({
    scheme: "standard-webhooks",
    action: { signal: "answer", runFrom: "data.metadata.run" },
  });
  const start = async (tenant: string) =>
    (await bench.as(tenant)("POST", "/v1/workflows/asking/runs", { input: {} })).body.id;
  const [mine, others] = [await start("receiving"), await start("other")];
  const message = (run: unknown) => JSON.stringify({ said: "yes", data: { metadata: { run } } });
  const send = (run: unknown, id: string) => {
    const body = message(run);
    return post(hook.id, body, standard(hook.secret, body, { id }));
  };
  const first = await send(mine, "m1");
  expect([first.status, first.body]).toEqual([202, { id: mine, links: expect.anything() }]);
  expect((await send(mine, "m1")).status).toBe(202);
  expect(await output(mine)).toBe("yes");
  expect((await send(others, "m2")).status).toBe(404);
  for (const run of [undefined, 7, null, { id: mine }]) expect((await send(run, "m3")).status).toBe(422);
  expect((await send("../..", "m4")).status).toBe(404);
  expect((await bench.as("other")("GET", `/v1/runs/${others}`)).body.status).toBe("waiting");
});

describe("an inbound hook", () => {
  test("is shown without its secret, changed, disabled and deleted", async () => {
    const { secret, ...hook } = await made({ scheme: "standard-webhooks", action: START, description: "the shop" });
    const path = `/v1/inbound-hooks/${hook.id}`;
    expect((await call("GET", path)).body).toEqual(hook);
    expect((await call("GET", "/v1/inbound-hooks")).body.data).toContainEqual(hook);
    const off = await call("PATCH", path, { disabled: true, description: null, action: { start: "greet" } });
    expect([off.status, off.body]).toEqual([
      200,
      expect.objectContaining({ disabled: true, action: { start: "greet" } }),
    ]);
    expect(off.body).not.toHaveProperty("description");
    expect((await post(hook.id, "{}", standard(secret, "{}"))).status).toBe(404);
    for (const [method, of] of [
      ["GET", path],
      ["PATCH", path],
      ["DELETE", path],
      ["POST", `${path}/secret`],
    ] as const)
      expect((await bench.as("other")(method, of, method === "PATCH" ? {} : undefined)).status).toBe(404);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("GET", path)).status).toBe(404);
    expect((await post(hook.id, "{}", standard(secret, "{}"))).status).toBe(404);
  });

  test.each([
    ["no scheme", { action: START }],
    ["another scheme", { scheme: "md5", action: START }],
    ["no action", { scheme: "standard-webhooks" }],
    ["two actions", { scheme: "standard-webhooks", action: { start: "echo", signal: "a", runFrom: "b" } }],
    ["a workflow that there is not", { scheme: "standard-webhooks", action: { start: "none" } }],
    ["a signal without a run", { scheme: "standard-webhooks", action: { signal: "answer" } }],
    ["an odd path", { scheme: "standard-webhooks", action: { signal: "answer", runFrom: "a..b" } }],
    ["a short secret", { scheme: "standard-webhooks", action: START, secret: "whsec_AAAA" }],
    ["a secret that is no base64", { scheme: "standard-webhooks", action: START, secret: "whsec_***" }],
    ["no header field", { scheme: "hmac-sha256", action: START, signature: {} }],
    ["an odd header field", { scheme: "hmac-sha256", action: START, signature: { header: "a b" } }],
    ["an empty secret", { scheme: "hmac-sha256", action: START, signature: { header: "a" }, secret: "" }],
  ])("with %s is refused", async (_, body) => {
    const { status, body: problem } = await call("POST", "/v1/inbound-hooks", body);
    expect([status, problem.status]).toEqual([422, 422]);
  });

  test("is made by none who may not do what it does", async () => {
    const scopes = { "x-scopes": "webhooks:write signals:write" };
    const make = (action: object) =>
      bench.gateway.call("POST", "/v1/inbound-hooks", { scheme: "standard-webhooks", action }, scopes);
    expect((await make(START)).status).toBe(403);
    expect((await make({ signal: "answer", runFrom: "run" })).status).toBe(201);
  });

  test.each(["nothing", "in_0", "a b", "x".repeat(65)])("%j takes no message", async (id) => {
    expect((await post(encodeURIComponent(id), "{}")).status).toBe(404);
  });
});
