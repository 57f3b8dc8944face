import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { webhookDelivery } from "../../../workflows/webhooks/index.ts";
import { eventually, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { TestSocket } from "../../support/live-clients.ts";
import { LOOPBACK } from "../../support/webhooks.ts";

const asking = workflow("asking", { input: v.object({}) }).waitFor("approve", { schema: v.any() });
const mapped = workflow("mapped", { input: v.object({}) })
  .map("each", { over: () => [1, 2], run: (n) => n })
  .waitFor("go", { schema: v.any() });
const { workflows, broken } = gatewayWorkflows();
const TUS = { "Tus-Resumable": "1.0.0" };
let gateway: TestGateway;
let mine: Record<string, string>;
let theirs: Record<string, string>;
/** What each operation is asked of: the ids of one tenant. */
const owned: Record<string, Record<string, string>> = {};
/** Where a request of the other tenant would be right but for whose the thing is. */
const BODIES: Record<string, unknown> = {
  signalRun: { ok: true },
  rerunRun: { from: "hello" },
  replayDeadLetter: {},
  rotateKey: {},
  rotateInboundSecret: { secret: `whsec_${btoa("y".repeat(24))}` },
  changeInboundHook: { action: { start: "greet" } },
  changeWebhook: { disabled: true },
};
/**
 * What is of no tenant: workflows and their pauses, the configuration, models and subscriptions are for operators and the same to
 * all; a name of one's own is made by PUT; tenants are paused by who may do everything.
 */
const OF_NO_TENANT = /^\/(?:assets|v1\/(?:workflows|queues|config|models|subscriptions|tenants|hooks))\//;

beforeAll(async () => {
  const delivery = webhookDelivery({ millrace: () => gateway.millrace, policy: LOOPBACK });
  gateway = await startGateway({ workflows: [...workflows, asking, mapped, delivery], keys: true, webhooks: LOOPBACK });
  const keyOf = async (tenant: string) => {
    const { id, secret } = await gateway.millrace.access.keys.create({ tenant, name: "a", scopes: ["admin"] });
    return { id, headers: { Authorization: `Bearer ${secret}` } };
  };
  const [ours, others] = [await keyOf("ours"), await keyOf("theirs")];
  mine = ours.headers;
  theirs = others.headers;
  const start = async (name: string, input: unknown): Promise<string> =>
    (await gateway.call("POST", `/v1/workflows/${name}/runs`, { input }, mine)).body.id;
  const settled = (id: string, status: string) =>
    eventually(
      () => gateway.call("GET", `/v1/runs/${id}`, undefined, mine),
      ({ body }) => body.status === status,
    );
  const [done, waits, items] = [
    await start("greet", { name: "a" }),
    await start("asking", {}),
    await start("mapped", {}),
  ];
  await Promise.all([settled(done, "completed"), settled(waits, "waiting"), settled(items, "waiting")]);
  broken.add("Bob");
  const fails = await start("fragile", { name: "Bob" });
  await settled(fails, "failed");
  const letters = await gateway.call("GET", "/v1/dead-letters", undefined, mine);
  const post = async (path: string, headers: Record<string, string>, body?: string) =>
    fetch(gateway.url + path, { method: "POST", headers: { ...mine, ...headers }, ...(body ? { body } : {}) });
  const document = ((await (await post("/v1/documents", {}, "text")).json()) as { id: string }).id;
  const begun = await post("/v1/uploads", { ...TUS, "Upload-Length": "5" });
  const upload = begun.headers.get("location")!.split("/").at(-1)!;
  await gateway.call(
    "PUT",
    "/v1/schedules/nightly",
    { workflow: "greet", input: { name: "a" }, cron: "@yearly" },
    mine,
  );
  const operation = await gateway.call("POST", "/v1/dead-letters/discard", { workflow: "none" }, mine);
  const hook = await gateway.call(
    "POST",
    "/v1/inbound-hooks",
    { scheme: "standard-webhooks", action: { start: "greet" } },
    mine,
  );
  const webhook = await gateway.call(
    "POST",
    "/v1/webhooks",
    { url: "http://127.0.0.1:9/", events: ["run.cancelled"] },
    mine,
  );
  Object.assign(owned, {
    "/v1/inbound-hooks/{id}": { id: hook.body.id },
    "/v1/webhooks/{id}": { id: webhook.body.id, delivery: done },
    "/v1/runs/{id}": { id: waits, name: "approve" },
    "/v1/runs/{id}/rerun": { id: done },
    "/v1/runs/{id}/steps/{name}/items": { id: items, name: "each" },
    "/v1/documents/{id}": { id: document },
    "/v1/uploads/{id}": { id: upload },
    "/v1/dead-letters/{id}": { id: letters.body.data[0].id },
    "/v1/dead-letters/operations/{id}": { id: operation.body.id },
    "/v1/schedules/{name}": { name: "nightly" },
  });
});
afterAll(() => gateway.close());

/** The ids for a path: those of the longest path that it begins with. */
function idsFor(path: string): Record<string, string> | undefined {
  const best = Object.keys(owned)
    .filter((each) => path.startsWith(each))
    .sort((a, b) => b.length - a.length)[0];
  return best === undefined ? undefined : owned[best];
}

interface Described {
  operationId: string;
  requestBody?: { content: Record<string, unknown> };
}

test("another tenant's id is 404 on every route that takes one", async () => {
  const api = (await gateway.call("GET", "/openapi.json")).body;
  const asked: string[] = [];
  for (const [path, methods] of Object.entries<Record<string, Described>>(api.paths)) {
    if (!path.includes("{") || OF_NO_TENANT.test(path) || path.startsWith("/v1/keys/")) continue;
    const ids = idsFor(path);
    expect(ids, `${path}: of which tenant's thing is this? Name one here`).toBeDefined();
    for (const [method, { operationId, requestBody }] of Object.entries(methods)) {
      if (method === "put" || operationId === "completeDocument") continue;
      const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids![name]!);
      const isJson = requestBody?.content["application/json"] !== undefined;
      const patch: Record<string, string> =
        method === "patch" && !isJson
          ? { "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0" }
          : {};
      const response = await fetch(gateway.url + url, {
        method: method.toUpperCase(),
        headers: { ...theirs, ...TUS, ...(isJson ? { "Content-Type": "application/json" } : {}), ...patch },
        ...(isJson ? { body: JSON.stringify(BODIES[operationId] ?? {}) } : method === "patch" ? { body: "hello" } : {}),
      });
      expect([
        operationId,
        response.status,
        (await response.text()).replaceAll(/.*"detail":"([^"]*)".*/g, "$1"),
      ]).toEqual([operationId, 404, method === "head" ? "" : expect.stringMatching(/./)]);
      asked.push(operationId);
    }
  }
  expect(asked.length).toBeGreaterThan(20);
  // It is all as it was, to whom it belongs.
  for (const [path, ids] of Object.entries(owned).filter(([path]) => path.endsWith("}"))) {
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name]!);
    expect([path, (await gateway.call("GET", url, undefined, mine)).status]).toEqual([path, 200]);
  }
});

test("and over every verb of a socket, and in every list", async () => {
  const { id } = owned["/v1/runs/{id}"]!;
  const socket = new TestSocket(`${gateway.url}/v1/live`, theirs);
  await socket.opened;
  socket.send({ type: "subscribe", run: id, after: 0 });
  expect(await socket.ofType("error")).toMatchObject({ problem: { status: 404, run: id } });
  socket.send({ type: "subscribe", all: true, snapshot: true });
  expect(await socket.ofType("reset")).toMatchObject({ runs: [] });
  socket.send({ type: "subscribe", workflow: "asking", snapshot: true });
  expect(await socket.first((message) => message.type === "reset" && message.workflow === "asking")).toMatchObject({
    runs: [],
  });
  socket.send({ type: "signal", run: id, name: "approve", data: {}, id: "theirs" });
  expect(await socket.first(({ problem }) => problem?.id === "theirs")).toMatchObject({
    problem: { status: 404, run: id },
  });
  socket.send({ type: "unsubscribe", run: id });
  socket.send({ type: "shout" });
  await socket.first((message) => message.type === "error" && message.problem.status === 422);
  expect(socket.messages.filter(({ seq, type }) => seq !== undefined && type !== "reset")).toEqual([]);
  socket.socket.close();
  expect(await new TestSocket(`${gateway.url}/v1/runs/${id}/events`, theirs).refused).toBe(404);
  expect((await fetch(`${gateway.url}/v1/live?run=${id}`, { headers: theirs })).status).toBe(404);
  for (const list of ["runs", "dead-letters", "schedules"])
    expect((await gateway.call("GET", `/v1/${list}`, undefined, theirs)).body).toEqual({ data: [] });
});
