import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Scope, workflow } from "../../engine/index.ts";
import { type Answer, eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { TestSocket, TestStream } from "../support/live-clients.ts";

const ORIGIN = "https://app.example.com";
const approval = workflow("approval", { input: v.object({}) }).waitFor("approve", { schema: v.any() });
const { workflows, gates } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [...workflows, approval], keys: true, origins: [ORIGIN] });
});
afterAll(() => gateway.close());

const bearer = (secret: string) => ({ Authorization: `Bearer ${secret}` });
async function keyOf(tenant: string, ...scopes: Scope[]) {
  const { id, secret } = await gateway.millrace.access.keys.create({ tenant, name: "test", scopes });
  return { id, secret, headers: bearer(secret) };
}
const as = (headers: Record<string, string>) => (method: string, path: string, body?: unknown) =>
  gateway.call(method, path, body, headers);
const start = async (headers: Record<string, string>, name: string): Promise<string> =>
  (await as(headers)("POST", `/v1/workflows/${name}/runs`, { input: { name: "Ada" } })).body.id;

describe("a request", () => {
  test.each([
    ["no key", {}],
    ["a key of another kind", { Authorization: "Basic YTpi" }],
    ["a key that is none", bearer("mr_0123456789abcdef_0123456789")],
    ["something else", bearer("x.y.z")],
    ["a ticket where none does", { ticket: "mrt_x" }],
  ])("with %s is let in nowhere but where anybody is", async (_, headers) => {
    const answer = await gateway.call("GET", "/v1/runs", undefined, headers as Record<string, string>);
    expect(answer).toMatchObject({ status: 401, body: { status: 401, type: "urn:millrace:problem:unauthorized" } });
    expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="millrace"');
    for (const path of ["/livez", "/readyz", "/openapi.json", "/docs"])
      expect((await gateway.call("GET", path, undefined, headers as Record<string, string>)).status).toBe(200);
  });

  test("may do what its key may, and nothing else", async () => {
    const reader = as((await keyOf("acme", "runs:read")).headers);
    expect((await reader("GET", "/v1/runs")).status).toBe(200);
    for (const [method, path] of [
      ["POST", "/v1/workflows/greet/runs"],
      ["GET", "/v1/dead-letters"],
      ["GET", "/v1/keys"],
      ["POST", "/v1/tenants/acme/pause"],
      ["GET", "/v1/subscriptions"],
    ] as const)
      expect(await reader(method, path)).toMatchObject({ status: 403, body: { type: "urn:millrace:problem:scope" } });
    const admin = as((await keyOf("acme", "admin")).headers);
    for (const path of ["/v1/runs", "/v1/dead-letters", "/v1/keys", "/v1/subscriptions"])
      expect((await admin("GET", path)).status).toBe(200);
  });

  test("is refused from the moment its key is revoked", async () => {
    const { id, headers } = await keyOf("acme", "runs:read");
    expect((await as(headers)("GET", "/v1/runs")).status).toBe(200);
    const admin = as((await keyOf("acme", "keys:write")).headers);
    expect((await admin("DELETE", `/v1/keys/${id}`)).status).toBe(204);
    expect((await as(headers)("GET", "/v1/runs")).status).toBe(401);
  });
});

describe("two tenants", () => {
  test("see nothing of each other, on any route", async () => {
    const ours = as((await keyOf("ours", "admin")).headers);
    const theirs = (await keyOf("theirs", ...ALL_BUT_ADMIN)).headers;
    const mine = (await keyOf("ours", ...ALL_BUT_ADMIN)).headers;
    const run = await start(mine, "held");
    const uploaded = await fetch(`${gateway.url}/v1/documents`, { method: "POST", headers: mine, body: "some text" });
    const document = ((await uploaded.json()) as { id: string }).id;
    await ours("PUT", "/v1/schedules/nightly", { workflow: "greet", input: { name: "a" }, cron: "@daily" });
    const foreign = as(theirs);
    for (const [method, path, body] of [
      ["GET", `/v1/runs/${run}`],
      ["POST", `/v1/runs/${run}/cancel`],
      ["POST", `/v1/runs/${run}/rerun`, { from: "wait" }],
      ["DELETE", `/v1/runs/${run}`],
      ["GET", `/v1/runs/${run}/events`],
      ["POST", `/v1/runs/${run}/signals/wait`],
      ["GET", `/v1/runs/${run}/steps/wait/items`],
      ["GET", `/v1/documents/${document}`],
      ["DELETE", `/v1/documents/${document}`],
      ["GET", "/v1/schedules/nightly"],
      ["DELETE", "/v1/schedules/nightly"],
      ["POST", "/v1/schedules/nightly/trigger"],
      ["POST", "/v1/tickets", { runs: [run] }],
    ] as [string, string, unknown?][])
      expect([path, (await foreign(method, path, body)).status]).toEqual([path, 404]);
    for (const path of ["/v1/runs", "/v1/schedules", "/v1/dead-letters"])
      expect((await foreign("GET", path)).body.data).toEqual([]);

    const socket = new TestSocket(`${gateway.url}/v1/live`, theirs);
    await socket.opened;
    socket.send({ type: "subscribe", run });
    expect(await socket.ofType("error")).toMatchObject({ problem: { status: 404, run } });
    socket.socket.close();
    expect(await new TestSocket(`${gateway.url}/v1/runs/${run}/events`, theirs).refused).toBe(404);
    expect((await as(mine)("GET", `/v1/runs/${run}`)).body.status).toMatch(/queued|running/);
    gates.open(run);
  });

  test("are one for who may do everything, and names the other", async () => {
    const { headers } = await keyOf("ours", "admin");
    const run = await start({ ...headers, "Millrace-Tenant": "third" }, "greet");
    expect((await as(headers)("GET", `/v1/runs/${run}`)).status).toBe(404);
    const third = await keyOf("third", "runs:read");
    expect((await as(third.headers)("GET", `/v1/runs/${run}`)).status).toBe(200);
    const asOther = as({ ...third.headers, "Millrace-Tenant": "ours" });
    expect(await asOther("GET", "/v1/runs")).toMatchObject({ status: 403 });
  });
});

const ALL_BUT_ADMIN: Scope[] = [
  ...(["runs:read", "runs:write", "signals:write", "documents:read", "documents:write"] as const),
  ...(["schedules:read", "schedules:write", "dead-letters:read", "dead-letters:write"] as const),
];

describe("a key", () => {
  test("is made, shown, rotated and revoked by those who may, its secret shown once", async () => {
    const admin = as((await keyOf("acme", "keys:read", "keys:write", "runs:read")).headers);
    const made = await admin("POST", "/v1/keys", { name: "ci", scopes: ["runs:read"] });
    expect(made).toMatchObject({ status: 201, body: { tenant: "acme", secret: expect.stringMatching(/^mr_/) } });
    expect(made.headers.get("location")).toBe(`/v1/keys/${made.body.id}`);
    const { secret, ...shown } = made.body;
    expect((await admin("GET", `/v1/keys/${made.body.id}`)).body).toEqual(shown);
    const rotated = await admin("POST", `/v1/keys/${made.body.id}/rotate`, { overlapMs: 60_000 });
    for (const each of [secret, rotated.body.secret])
      expect((await as(bearer(each))("GET", "/v1/runs")).status).toBe(200);
    const again = await admin("POST", `/v1/keys/${made.body.id}/rotate`, { overlapMs: 0 });
    expect((await as(bearer(rotated.body.secret))("GET", "/v1/runs")).status).toBe(401);
    expect((await as(bearer(again.body.secret))("GET", "/v1/runs")).status).toBe(200);
  });

  test("cannot be made to do more than the one that makes it, nor for another tenant", async () => {
    const { headers } = await keyOf("acme", "keys:write", "keys:read", "runs:read");
    const strong = await keyOf("acme", "admin");
    const other = await keyOf("other", "runs:read");
    const refused: [Answer, number][] = [
      [await as(headers)("POST", "/v1/keys", { name: "x", scopes: ["runs:write"] }), 403],
      [await as(headers)("POST", "/v1/keys", { name: "x", scopes: ["admin"] }), 403],
      [await as(headers)("POST", "/v1/keys", { name: "x", scopes: ["runs:read"], tenant: "other" }), 403],
      [await as(headers)("POST", `/v1/keys/${strong.id}/rotate`), 403],
      [await as(headers)("DELETE", `/v1/keys/${other.id}`), 404],
      [await as(headers)("GET", "/v1/keys?tenant=other"), 404],
    ];
    for (const [answer, status] of refused) expect(answer.status).toBe(status);
    expect(
      (await as(headers)("GET", "/v1/keys?limit=100")).body.data.map((key: { tenant: string }) => key.tenant),
    ).not.toContain("other");
  });

  test("that asks too often is told when to come back, and how it stands before that", async () => {
    const { secret } = await gateway.millrace.access.keys.create({
      ...{ tenant: "acme", name: "slow", scopes: ["runs:read"], rateLimit: { requests: 3, windowMs: 60_000 } },
    });
    const ask = () => as(bearer(secret))("GET", "/v1/runs");
    const first = await ask();
    expect(first.headers.get("ratelimit-policy")).toBe('"requests";q=3;w=60');
    expect(first.headers.get("ratelimit")).toMatch(/^"requests";r=2;t=\d+$/);
    await ask();
    await ask();
    const refused = await ask();
    expect(refused).toMatchObject({ status: 429, body: { type: "urn:millrace:problem:rate-limit" } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("ratelimit")).toMatch(/r=0/);
  });

  test("starts no more runs a day than it may; what does not come about, or is there already, does not count", async () => {
    const { secret } = await gateway.millrace.access.keys.create({
      ...{ tenant: "acme", name: "small", scopes: ["runs:write"], quota: { runsPerDay: 2 } },
    });
    const ask = (input: unknown, key: string) =>
      gateway.call("POST", "/v1/workflows/greet/runs", { input }, { ...bearer(secret), "Idempotency-Key": key });
    expect((await ask({}, "bad")).status).toBe(422);
    expect((await ask({ name: "a" }, "one")).status).toBe(202);
    expect((await ask({ name: "a" }, "one")).status).toBe(202);
    expect((await ask({ name: "a" }, "two")).status).toBe(202);
    expect(await ask({ name: "a" }, "three")).toMatchObject({
      status: 429,
      body: { type: "urn:millrace:problem:quota" },
    });
  });

  test("that is revoked closes the sockets and streams that were opened with it", async () => {
    const { id, headers } = await keyOf("acme", "runs:read", "runs:write");
    const run = await start(headers, "held");
    const sockets = [
      new TestSocket(`${gateway.url}/v1/runs/${run}/events`, headers),
      new TestSocket(`${gateway.url}/v1/live`, headers),
    ];
    const stream = await TestStream.open(`${gateway.url}/v1/runs/${run}/events`, { headers });
    await Promise.all(sockets.map(({ opened }) => opened));
    await sockets[0]!.ofType("run.queued");
    await gateway.millrace.access.keys.revoke(id);
    for (const socket of sockets) expect((await socket.closed).code).toBe(1008);
    await stream.ended;
    gates.open(run);
  });
});

describe("a ticket", () => {
  test("opens one socket or stream of the runs it is for, once", async () => {
    const { headers } = await keyOf("acme", "runs:read", "runs:write");
    const [run, other] = [await start(headers, "greet"), await start(headers, "greet")];
    const ticket = async (body: object) => (await as(headers)("POST", "/v1/tickets", body)).body.ticket as string;
    const events = (id: string, of: string) => `${gateway.url}/v1/runs/${id}/events?after=0&ticket=${of}`;
    const forRun = await ticket({ runs: [run] });
    const socket = new TestSocket(events(run, forRun), { Origin: ORIGIN });
    expect(await socket.closed).toMatchObject({ code: 1000 });
    expect(socket.messages.at(-1)).toMatchObject({ type: "run.completed" });
    expect(await new TestSocket(events(run, forRun)).refused).toBe(401);
    expect(await new TestSocket(events(other, await ticket({ runs: [run] }))).refused).toBe(404);
    const stream = await TestStream.open(events(other, await ticket({ workflows: ["greet"] })));
    await stream.ended;
    expect(stream.messages.at(-1)).toMatchObject({ type: "run.completed" });
    expect((await fetch(`${gateway.url}/v1/dead-letters?ticket=${await ticket({ runs: [run] })}`)).status).toBe(401);
  });

  test("on a socket of many runs shows those it is for alone", async () => {
    const { headers } = await keyOf("acme", "runs:read", "runs:write");
    const [run, other] = [await start(headers, "greet"), await start(headers, "greet")];
    const { ticket } = (await as(headers)("POST", "/v1/tickets", { runs: [run] })).body;
    const socket = new TestSocket(`${gateway.url}/v1/live?ticket=${ticket}`);
    await socket.opened;
    socket.send({ type: "subscribe", run: other });
    expect(await socket.ofType("error")).toMatchObject({ problem: { status: 404 } });
    socket.send({ type: "subscribe", run, after: 0 });
    expect(await socket.ofType("run.completed")).toMatchObject({ run });
    socket.socket.close();
  });

  test("sends a signal if it may, to those runs", async () => {
    const { headers } = await keyOf("acme", "runs:read", "runs:write", "signals:write");
    const run = await start(headers, "approval");
    const ticket = async (body: object) => (await as(headers)("POST", "/v1/tickets", body)).body.ticket as string;
    const signal = async (of: string) =>
      (await gateway.call("POST", `/v1/runs/${run}/signals/approve?ticket=${of}`, { ok: true })).status;
    expect(await signal(await ticket({ runs: [run] }))).toBe(403);
    expect(await signal(await ticket({ workflows: ["greet"], canSignal: true }))).toBe(404);
    expect(await signal(await ticket({ runs: [run], canSignal: true }))).toBe(202);
    await eventually(
      () => as(headers)("GET", `/v1/runs/${run}`),
      ({ body }) => body.status === "completed",
    );
    const reader = await keyOf("acme", "runs:read");
    expect((await as(reader.headers)("POST", "/v1/tickets", { runs: [run], canSignal: true })).status).toBe(403);
  });
});

describe("a page", () => {
  test("of an origin that is listed may ask, and read the reply", async () => {
    const { headers } = await keyOf("acme", "runs:read");
    const preflight = await fetch(`${gateway.url}/v1/runs`, {
      method: "OPTIONS",
      headers: {
        Origin: ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(preflight.headers.get("access-control-allow-headers")).toMatch(/authorization/i);
    const answer = await gateway.call("GET", "/v1/runs", undefined, { ...headers, Origin: ORIGIN });
    expect(answer.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("of another may not, and opens no socket, whatever it has", async () => {
    const { headers } = await keyOf("acme", "runs:read", "runs:write");
    const run = await start(headers, "greet");
    for (const origin of ["https://evil.example", gateway.url, "null"]) {
      const answer = await gateway.call("GET", "/v1/runs", undefined, { ...headers, Origin: origin });
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      const socket = new TestSocket(`${gateway.url}/v1/runs/${run}/events`, { ...headers, Origin: origin });
      expect(await socket.refused).toBe(403);
    }
  });
});

describe("without keys", () => {
  test("only this machine's names and pages are let in", async () => {
    const open = await startGateway({ workflows, worker: false });
    const status = async (headers: Record<string, string>) =>
      (await open.call("GET", "/v1/runs", undefined, headers)).status;
    expect(await status({})).toBe(200);
    expect(await status({ Origin: "http://localhost:3000" })).toBe(200);
    expect(await status({ Origin: "https://evil.example" })).toBe(403);
    expect(await new TestSocket(`${open.url}/v1/live`, { Origin: "https://evil.example" }).refused).toBe(403);
    expect(await new TestSocket(`${open.url}/v1/live`, { Host: "rebound.example" }).refused).toBe(403);
    await open.close();
  });
});
