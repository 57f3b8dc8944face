import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
});
afterAll(() => gateway.close());

const start = async (name: string, more: object, headers: Record<string, string> = {}) => {
  const { status, body } = await gateway.call(
    "POST",
    "/v1/workflows/greet/runs",
    { input: { name }, ...more },
    headers,
  );
  expect({ status, body }).toMatchObject({ status: 202, body: { workflow: "greet" } });
  return body;
};
const run = async (id: string) => (await gateway.call("GET", `/v1/runs/${id}`)).body;
const ended = (id: string) =>
  eventually(
    () => run(id),
    ({ endedAt }) => endedAt !== undefined,
  );

test("a delayed run is accepted as queued, and shown waiting with its times", async () => {
  const { id, status } = await start("Ada", { delay: 50_000, ttl: 60_000, deadline: 90_000 });
  expect(status).toBe("queued");
  const { createdAt, startsAt, expiresAt, deadlineAt, steps } = await run(id);
  const waitingFor = { reason: "delay", until: startsAt };
  expect(steps).toEqual({ hello: { status: "waiting", attempt: 0, waitingFor } });
  const since = (time: string) => Date.parse(time) - Date.parse(createdAt);
  expect([startsAt, expiresAt, deadlineAt].map(since)).toEqual([50_000, 110_000, 140_000]);
});

test("a delayed run runs in the end", async () => {
  const { id } = await start("Ada", { delay: 100 });
  expect(await ended(id)).toMatchObject({ status: "completed", output: { text: "Hello Ada" } });
});

test("a run starts at a time of any zone", async () => {
  const { id } = await start("Ada", { runAt: "2020-01-01T00:00:00+02:00" });
  expect(await ended(id)).toMatchObject({ status: "completed" });
  const later = new Date(Date.now() + 3_600_000);
  const waiting = await start("Ada", { runAt: later.toISOString() });
  expect(await run(waiting.id)).toMatchObject({ startsAt: later.toISOString() });
});

describe("deduplication", () => {
  test("says whether the run is new", async () => {
    const options = { delay: 60_000, dedupe: { mode: "simple", key: "a" } };
    const first = await start("Ada", options);
    expect(first.created).toBe(true);
    expect(await start("Bob", options)).toMatchObject({ id: first.id, created: false });
    expect(await run(first.id)).toMatchObject({ input: { name: "Ada" } });
  });

  test("throttles", async () => {
    const dedupe = { mode: "throttle", key: "a", window: 60_000 };
    const { id } = await start("Ada", { dedupe });
    await ended(id);
    expect(await start("Bob", { dedupe })).toMatchObject({ id, status: "completed", created: false });
  });

  test("debounces to the last, but a repeated request changes nothing", async () => {
    const dedupe = { mode: "debounce", key: "a", window: 60_000, maxWait: 120_000 };
    const key = { "Idempotency-Key": "first" };
    const { id } = await start("Ada", { dedupe }, key);
    expect(await start("Bob", { dedupe })).toMatchObject({ id, created: false });
    expect(await start("Ada", { dedupe }, key)).toMatchObject({ id, created: false });
    expect(await run(id)).toMatchObject({ input: { name: "Bob" }, steps: { hello: { status: "waiting" } } });
  });
});

test("tags find runs, page by page, together with the other filters", async () => {
  const ids: string[] = [];
  for (const name of ["a", "b", "c"]) ids.unshift((await start(name, { tags: ["team:blue", name] })).id);
  await Promise.all(ids.map(ended));
  const list = async (query: string) => {
    const { status, body } = await gateway.call("GET", `/v1/runs?${query}`);
    expect(status).toBe(200);
    return body;
  };
  const first = await list("tag=team%3Ablue&limit=2");
  expect(first.data.map((each: { id: string }) => each.id)).toEqual(ids.slice(0, 2));
  expect(first.data[0].tags).toEqual(["team:blue", "c"]);
  const second = await list(`tag=team:blue&limit=2&cursor=${first.next}`);
  expect(second.data.map((each: { id: string }) => each.id)).toEqual(ids.slice(2));
  expect((await list("tag=b&status=completed&workflow=greet")).data).toHaveLength(1);
  expect((await list("tag=b&status=failed")).data).toEqual([]);
});
