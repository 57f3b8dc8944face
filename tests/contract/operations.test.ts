import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { embeddings } from "../../workflows/index.ts";
import { type Answer, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { ROOT } from "../support/run.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
let headers: { Authorization: string };
beforeAll(async () => {
  gateway = await startGateway({ workflows: [...workflows, embeddings], keys: true, worker: false });
  headers = await keyOf("admin");
});
afterAll(() => gateway.close());

async function keyOf(...scopes: ("admin" | "queues:read")[]): Promise<{ Authorization: string }> {
  const { secret } = await gateway.millrace.access.keys.create({ name: "test", scopes });
  return { Authorization: `Bearer ${secret}` };
}
const get = (path: string, more = {}): Promise<Answer> => gateway.call("GET", path, undefined, { ...headers, ...more });
const start = (workflow: string, input: unknown) =>
  gateway.call("POST", `/v1/workflows/${workflow}/runs`, { input }, headers);

test("a page names the next one in its Link, which gives it", async () => {
  for (const name of ["a", "b", "c"]) expect((await start("greet", { name })).status).toBe(202);
  const seen: string[] = [];
  let path = "/v1/runs?workflow=greet&limit=1";
  for (let pages = 0; pages < 3; pages += 1) {
    const { status, headers: fields, body } = await get(path);
    expect(status).toBe(200);
    seen.push(...body.data.map(({ id }: { id: string }) => id));
    const [, next] = /^<(\/v1\/runs\?[^>]+)>; rel="next"$/.exec(fields.get("link") ?? "") ?? [];
    expect(next === undefined).toBe(body.next === undefined);
    if (next === undefined) break;
    expect(new URL(next, gateway.url).searchParams.get("workflow")).toBe("greet");
    path = next;
  }
  expect(new Set(seen).size).toBe(3);
});

test("every answer has the id of its request, one's own or a new one", async () => {
  for (const path of ["/livez", "/v1/runs", "/v1/runs/none", "/nothing", "/docs"]) {
    expect((await get(path, { "X-Request-Id": "mine-1" })).headers.get("x-request-id")).toBe("mine-1");
    expect((await get(path)).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  }
});

test("a run that has not changed since is 304, and a change of it is not", async () => {
  const { id } = (await start("greet", { name: "Ada" })).body;
  const first = await get(`/v1/runs/${id}`);
  const tag = first.headers.get("etag")!;
  expect(tag).toMatch(new RegExp(`^"${first.body.seq}-[0-9a-f]{16}"$`));
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
    const again = await get(`/v1/runs/${id}`, { "If-None-Match": known });
    expect([again.status, again.body, again.headers.get("etag")]).toEqual([304, "", tag]);
  }
  expect((await get(`/v1/runs/${id}`, { "If-None-Match": '"other"' })).status).toBe(200);
  await gateway.millrace.runs.cancel(id);
  const changed = await get(`/v1/runs/${id}`, { "If-None-Match": tag });
  expect([changed.status, changed.body.status]).toEqual([200, "cancelled"]);
  expect((await get(`/v1/runs/${"0".repeat(32)}-0`, { "If-None-Match": "*" })).status).toBe(404);
});

test("an entry of the configuration is set only as it was seen, where that is asked for", async () => {
  const put = (value: unknown, more = {}) =>
    gateway.call("PUT", "/v1/config/limit", { value }, { ...headers, ...more });
  const refused = { status: 412, body: { type: "urn:millrace:problem:config-changed" } };
  expect(await put(0, { "If-Match": "*" })).toMatchObject(refused);
  const made = await put(1, { "If-None-Match": "*" });
  expect(made).toMatchObject({ status: 200, body: { value: 1 } });
  const tag = made.headers.get("etag")!;
  expect(tag).toBe(`"${made.body.revision}"`);
  expect(await put(2, { "If-None-Match": "*" })).toMatchObject(refused);
  expect((await get("/v1/config/limit", { "If-None-Match": tag })).status).toBe(304);
  // Of all who have seen the same, one has its way.
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => put(i, { "If-Match": tag })));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 412)).toHaveLength(19);
  const won = answers.find(({ status }) => status === 200)!;
  const now = await get("/v1/config/limit", { "If-None-Match": tag });
  expect([now.status, now.body.value, now.headers.get("etag")]).toEqual([200, won.body.value, won.headers.get("etag")]);
  expect(await put("any", { "If-Match": "*" })).toMatchObject({ status: 200 });
  for (const wrong of [{ "If-Match": "12" }, { "If-Match": 'W/"1"' }, { "If-Match": "" }, { "If-None-Match": '"1"' }])
    expect(await put(3, wrong)).toMatchObject({ status: 400 });
  expect((await get("/v1/config/limit")).body.value).toBe("any");
});

test("readiness is a read that completes and a channel that is heard, and says which of them is not so", async () => {
  const { millrace } = gateway;
  const { workers, hears } = millrace;
  const ready = () => gateway.call("GET", "/readyz");
  const parts = ({ status, body }: Answer) => [status, body.errors?.map(({ path }: { path: string[] }) => path[0])];
  try {
    expect(await ready()).toMatchObject({ status: 200, body: { status: "ok", workers: { alive: 0, silent: 0 } } });
    Object.assign(millrace, { hears: () => false });
    expect(parts(await ready())).toEqual([503, ["events"]]);
    // A read that never completes is none.
    Object.assign(millrace, { hears, workers: () => new Promise(() => {}) });
    expect(parts(await ready())).toEqual([503, ["reads"]]);
    Object.assign(millrace, { hears: () => false, workers: () => Promise.reject(new Error("redis://secret")) });
    const both = await ready();
    expect(parts(both)).toEqual([503, ["reads", "events"]]);
    expect(JSON.stringify(both.body)).not.toContain("secret");
  } finally {
    Object.assign(millrace, { workers, hears });
  }
  expect((await ready()).status).toBe(200);
});

test("metrics are for keys that may read the queues", async () => {
  expect((await gateway.call("GET", "/metrics")).status).toBe(401);
  expect((await get("/metrics", await keyOf("queues:read"))).status).toBe(200);
});

describe("the example for KEDA", async () => {
  const documents = parseAllDocuments(await readFile(`${ROOT}deploy/keda.yaml`, "utf8"));
  const [authentication, scaled] = documents.map((document) => document.toJS());
  type Trigger = { type: string; authenticationRef: { name: string }; metadata: Record<string, string> };
  const triggers = scaled.spec.triggers as Trigger[];

  test("goes by figures of a step that are served, and reads them as it may", async () => {
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    for (let i = 0; i < 3; i += 1)
      expect((await start("embeddings", { texts: ["a"], dimensions: 8 })).status).toBe(202);
    const [parameter] = authentication.spec.secretTargetRef;
    expect(parameter.parameter).toBe("token");
    const key = await keyOf("queues:read");
    const values: Record<string, unknown> = {};
    for (const { type, authenticationRef, metadata } of triggers) {
      expect([type, metadata.authMode, authenticationRef.name]).toEqual([
        "metrics-api",
        "bearer",
        authentication.metadata.name,
      ]);
      const { pathname, port } = new URL(metadata.url!);
      expect(port).toBe("8787");
      const { status, body } = await gateway.call("GET", pathname, undefined, key);
      expect(status).toBe(200);
      expect(Number(metadata.targetValue)).toBeGreaterThan(0);
      values[metadata.valueLocation!] = body[metadata.valueLocation!];
    }
    expect(values).toEqual({ depth: 3, inFlight: 0, oldestAgeMs: expect.any(Number) });
    expect(values.oldestAgeMs).toBeGreaterThan(0);
  });

  test("what it asks for of another step is 404", async () => {
    for (const path of ["/v1/queues/embeddings/none", "/v1/queues/none/embed"])
      expect((await get(path)).status).toBe(404);
  });
});
