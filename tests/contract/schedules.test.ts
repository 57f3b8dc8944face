import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
});
afterAll(() => gateway.close());

const call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  gateway.call(method, `/v1/schedules${path}`, body, headers);
const daily = { workflow: "greet", input: { name: "Ada" }, cron: "30 2 * * *", timeZone: "Europe/Berlin" };
const problem = (code: string) => ({ type: `urn:millrace:problem:${code}` });
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe("a schedule", () => {
  test("is made, shown, replaced and deleted", async () => {
    const made = await call("PUT", "/daily", { ...daily, metadata: { team: "ops" } });
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe("/v1/schedules/daily");
    expect(made.body).toEqual({
      ...{ ...daily, name: "daily", status: "active", overlap: "skip", missed: "latest", jitterMs: 0 },
      ...{ metadata: { team: "ops" }, nextTick: TIME, createdAt: TIME, updatedAt: TIME },
    });
    expect(await call("GET", "/daily")).toMatchObject({ status: 200, body: made.body });
    const replaced = await call("PUT", "/daily", { ...daily, overlap: "queue", missed: "all", jitterMs: 5 });
    expect(replaced).toMatchObject({ status: 200, body: { overlap: "queue", missed: "all", jitterMs: 5 } });
    expect(replaced.body).not.toHaveProperty("metadata");
    const found = await call("PUT", "/daily", { ...daily, priority: "low", tags: ["daily"] });
    expect(found).toMatchObject({ status: 200, body: { priority: "low", tags: ["daily"] } });
    expect(await call("PUT", "/daily", { ...daily, priority: "urgent" })).toMatchObject({ status: 422 });
    expect(await call("PUT", "/daily", { ...daily, tags: ["two words"] })).toMatchObject({ status: 422 });
    expect((await call("DELETE", "/daily")).status).toBe(204);
    for (const [method, path] of [
      ["GET", "/daily"],
      ["DELETE", "/daily"],
      ["POST", "/daily/pause"],
      ["POST", "/daily/resume"],
      ["POST", "/daily/trigger"],
      ["GET", "/a%7Cb"],
    ] as const)
      expect(await call(method, path)).toMatchObject({ status: 404, body: problem("not-found") });
  });

  test("is paused and resumed, also twice", async () => {
    await call("PUT", "/often", { workflow: "greet", input: { name: "Ada" }, every: 60_000 });
    for (let i = 0; i < 2; i += 1) {
      const paused = await call("POST", "/often/pause");
      expect(paused).toMatchObject({ status: 200, body: { status: "paused" } });
      expect(paused.body).not.toHaveProperty("nextTick");
    }
    for (let i = 0; i < 2; i += 1)
      expect(await call("POST", "/often/resume")).toMatchObject({
        status: 200,
        body: { status: "active", nextTick: TIME },
      });
  });

  test("that has ended cannot be paused", async () => {
    const at = new Date(Date.now() + 1_000).toISOString();
    expect(await call("PUT", "/once", { workflow: "greet", input: { name: "Ada" }, at })).toMatchObject({
      body: { at },
    });
    const ended = await eventually(
      () => call("GET", "/once"),
      ({ body }) => body.status === "ended",
    );
    expect(ended.body).toMatchObject({ lastTick: at, lastRun: expect.any(String) });
    const run = (await gateway.call("GET", `/v1/runs/${ended.body.lastRun}`)).body;
    expect(run).toMatchObject({ input: { name: "Ada" }, metadata: { schedule: "once", tick: at } });
    for (const verb of ["pause", "resume"])
      expect(await call("POST", `/once/${verb}`)).toMatchObject({ status: 409, body: problem("schedule-ended") });
  });

  test("is triggered, once for a key", async () => {
    await call("PUT", "/by-hand", daily);
    const headers = { "Idempotency-Key": "k" };
    const run = await call("POST", "/by-hand/trigger", undefined, headers);
    expect(run).toMatchObject({ status: 202, body: { workflow: "greet", status: "queued" } });
    expect(run.headers.get("location")).toBe(run.body.links.self);
    expect((await call("POST", "/by-hand/trigger", undefined, headers)).body.id).toBe(run.body.id);
    expect((await call("POST", "/by-hand/trigger")).body.id).not.toBe(run.body.id);
  });
});

test("schedules are listed by page, the newest first", async () => {
  for (const name of ["a", "b", "c"]) {
    const { body } = await call("PUT", `/page-${name}`, daily);
    // So that no two are made in the same millisecond.
    await eventually(
      async () => Date.now(),
      (now) => now > Date.parse(body.createdAt) + 1,
    );
  }
  const first = await call("GET", "?limit=2");
  expect(first.body.data.map(({ name }: { name: string }) => name)).toEqual(["page-c", "page-b"]);
  expect(first.body.data[0]).not.toHaveProperty("input");
  const second = await call("GET", `?limit=1&cursor=${first.body.next}`);
  expect(second.body.data[0].name).toBe("page-a");
});

describe("is refused:", () => {
  const unfit = (path: string[]) => ({ ...problem("invalid-input"), errors: [expect.objectContaining({ path })] });
  const { cron: _, timeZone: __, ...never } = daily;

  test.each([
    ["a cron that cannot be read", "odd", { ...daily, cron: "often" }, unfit(["cron"])],
    ["a cron that never comes", "odd", { ...daily, cron: "0 0 30 2 *" }, unfit(["cron"])],
    ["an unknown zone", "odd", { ...daily, timeZone: "Mars/Phobos" }, unfit(["timeZone"])],
    ["a zone without cron", "odd", { ...never, every: 1_000, timeZone: "UTC" }, unfit(["timeZone"])],
    ["no times", "odd", never, unfit(["cron"])],
    ["two ways to say them", "odd", { ...daily, every: 1_000 }, unfit(["cron"])],
    ["a time that has passed", "odd", { ...never, at: "2020-01-01T00:00:00Z" }, unfit(["at"])],
    ["too often", "odd", { ...never, every: 10 }, unfit(["every"])],
    ["an unknown policy", "odd", { ...daily, overlap: "wait" }, unfit(["overlap"])],
    ["an unknown policy", "odd", { ...daily, missed: "some" }, unfit(["missed"])],
    ["an input that does not fit", "odd", { ...daily, input: {} }, unfit(["name"])],
    ["no input", "odd", { workflow: "greet", cron: "@daily" }, unfit(["input"])],
    ["an unknown field", "odd", { ...daily, zone: "UTC" }, unfit(["zone"])],
    ["an odd name", "a%7Cb", daily, unfit(["name"])],
  ])("%s", async (_, name, sent, body) => {
    expect(await call("PUT", `/${name}`, sent)).toMatchObject({ status: 422, body });
  });

  test("an unknown workflow", async () => {
    expect(await call("PUT", "/odd", { ...daily, workflow: "none" })).toMatchObject({ status: 404 });
  });

  test("a bad page", async () => {
    expect((await call("GET", "?limit=0")).status).toBe(422);
    expect((await call("GET", "?cursor=odd")).status).toBe(422);
  });
});
