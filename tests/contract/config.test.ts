import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { internalsOf } from "../../engine/connect.ts";
import { connect } from "../../engine/index.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { redisUrl } from "../support/redis.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false, limits: { jsonBytes: 50_000 } });
});
afterAll(async () => {
  expect(gateway.logged).toEqual([]);
  await gateway.close();
});

const put = (key: string, value: unknown) => gateway.call("PUT", `/v1/config/${encodeURIComponent(key)}`, { value });
const get = (key: string) => gateway.call("GET", `/v1/config/${encodeURIComponent(key)}`);
const isProblem = ({ status, headers, body }: Awaited<ReturnType<typeof get>>, expected: number) => {
  expect([status, headers.get("content-type"), body.status]).toEqual([expected, "application/problem+json", expected]);
};

describe("a key of the configuration", () => {
  test("is set, shown, set again and deleted", async () => {
    const first = await put("a.b", { on: [] });
    const entry = {
      key: "a.b",
      value: { on: [] },
      revision: expect.any(Number),
      updatedAt: expect.stringMatching(/Z$/),
    };
    expect([first.status, first.body]).toEqual([200, entry]);
    expect((await get("a.b")).body).toEqual(first.body);
    const second = await put("a.b", null);
    expect(second.body).toMatchObject({ value: null, revision: first.body.revision + 1 });
    expect((await gateway.call("DELETE", "/v1/config/a.b")).status).toBe(204);
    isProblem(await get("a.b"), 404);
    isProblem(await gateway.call("DELETE", "/v1/config/a.b"), 404);
  });

  test("may have a slash, when that is encoded", async () => {
    await put("models.meta/llama:8b", 1);
    expect((await get("models.meta/llama:8b")).body).toMatchObject({ key: "models.meta/llama:8b", value: 1 });
  });

  test.each(["a b", ".hidden", "ü", "x".repeat(129)])("cannot be %j", async (key) => {
    isProblem(await put(key, 1), 422);
    isProblem(await get(key), 404);
    isProblem(await gateway.call("DELETE", `/v1/config/${encodeURIComponent(key)}`), 404);
  });

  test.each([
    ["nothing", {}, 422],
    ["another field", { value: 1, valeu: 2 }, 422],
    ["a value that is too long", { value: "x".repeat(33_000) }, 422],
    ["a body that is too long", { value: "x".repeat(60_000) }, 413],
  ])("does not take %s", async (_, body, status) => {
    isProblem(await gateway.call("PUT", "/v1/config/bad", body), status);
    isProblem(await get("bad"), 404);
  });

  test("that another process has set is shown at once, and what is set here is told there", async () => {
    const { namespace } = internalsOf(gateway.millrace).store.keys;
    const other = await connect({ url: redisUrl, namespace, workflows: [] });
    await other.config.set("from.there", 1);
    expect((await get("from.there")).body.value).toBe(1);
    const heard = new Promise((resolve) => other.config.on("from.here", resolve));
    await put("from.here", 2);
    expect(await heard).toBe(2);
    await other.close();
  });
});

test("keys are listed by name, in pages", async () => {
  for (const key of ["list.b", "list.c", "list.a"]) await put(key, key);
  const keys = async (query: string) => {
    const { body } = await gateway.call("GET", `/v1/config?prefix=list.&limit=2${query}`);
    return { ...body, data: body.data.map(({ key }: { key: string }) => key) };
  };
  expect(await keys("")).toEqual({ data: ["list.a", "list.b"], next: "list.b" });
  expect(await keys("&cursor=list.b")).toEqual({ data: ["list.c"] });
  isProblem(await gateway.call("GET", "/v1/config?limit=0"), 422);
  isProblem(await gateway.call("GET", "/v1/config?what=1"), 422);
});

describe("a model's deployment", () => {
  test("is stored, and what is cached of that model is void everywhere", async () => {
    await gateway.millrace.config.ready();
    const heard = new Promise((resolve) => gateway.millrace.onInvalidate("models", resolve));
    const path = `/v1/models/${encodeURIComponent("meta/llama")}/deployments`;
    const { status, headers, body } = await gateway.call("POST", path, { version: "2026-11" });
    const self = "/v1/config/models.meta%2Fllama";
    expect([status, headers.get("location")]).toEqual([201, self]);
    expect(body).toEqual({
      ...{ model: "meta/llama", version: "2026-11" },
      ...{ deployedAt: expect.stringMatching(/Z$/), links: { config: self } },
    });
    expect(await heard).toBe("meta/llama");
    expect((await gateway.call("GET", self)).body.value).toEqual({ version: "2026-11" });
  });

  test.each([
    ["gpt", {}],
    ["gpt", { version: "" }],
    ["gpt", { version: 3 }],
    ["a b", { version: "1" }],
  ])("of %j is refused: %j", async (model, body) => {
    isProblem(await gateway.call("POST", `/v1/models/${encodeURIComponent(model)}/deployments`, body), 422);
  });
});
