import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunView, workflow } from "../../engine/index.ts";
import { answerOf, eventually, startGateway, type TestGateway } from "../support/gateway.ts";

const approval = workflow("approval", { input: v.object({}) })
  .waitFor("approve", { schema: v.object({ by: v.string() }), timeoutMs: 86_400_000 })
  .step("end", (signal) => (signal.timedOut ? "nobody" : signal.data.by));
const anything = workflow("anything", { input: v.object({}) }).waitFor("say", { schema: v.any() });
const squares = workflow("squares", { input: v.object({ list: v.array(v.number()) }) })
  .map("square", {
    over: ({ list }) => list,
    onItemFailure: "collect",
    retry: { attempts: 1 },
    run: (n, ctx) => {
      ctx.progress(0.5);
      if (n < 0) throw new Error("negative");
      return n * n;
    },
  })
  .repeat("halve", {
    after: [],
    run: ({ list }) => ({ list: list.slice(0, Math.floor(list.length / 2)) }),
    until: ({ list }) => list.length === 0,
    max: 9,
  });

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [approval, anything, squares] });
});
afterAll(() => gateway.close());

const start = async (name: string, input: unknown = {}): Promise<string> =>
  (await gateway.call("POST", `/v1/workflows/${name}/runs`, { input })).body.id;
const run = async (id: string): Promise<RunView> => (await gateway.call("GET", `/v1/runs/${id}`)).body;
const until = (id: string, ...statuses: string[]) =>
  eventually(
    () => run(id),
    ({ status }) => statuses.includes(status),
  );
const signal = (id: string, data: unknown, headers = {}, name = "approve") =>
  gateway.call("POST", `/v1/runs/${id}/signals/${name}`, data, headers);

describe("a signal", () => {
  test("goes to the run that is shown waiting for it", async () => {
    const id = await start("approval");
    const waiting = await until(id, "waiting");
    expect(waiting.steps.approve).toMatchObject({
      status: "waiting",
      waitingFor: { reason: "signal", until: expect.stringMatching(/Z$/) },
    });
    const answer = await signal(id, { by: "ann" });
    expect(answer).toMatchObject({ status: 202, body: { id, links: { self: `/v1/runs/${id}` } } });
    expect(answer.headers.get("location")).toBe(`/v1/runs/${id}`);
    expect(await until(id, "completed")).toMatchObject({ output: "ann" });
  });

  test("counts once for its Idempotency-Key, whatever that holds; a second one is refused", async () => {
    const id = await start("approval");
    for (const key of ["one key, with spaces", "one key, with spaces"])
      expect((await signal(id, { by: "ann" }, { "Idempotency-Key": key })).status).toBe(202);
    for (const headers of [{}, { "Idempotency-Key": "another" }])
      expect(await signal(id, { by: "bob" }, headers)).toMatchObject({
        status: 409,
        body: { type: "urn:millrace:problem:signal-settled" },
      });
    expect(await until(id, "completed")).toMatchObject({ output: "ann" });
    expect((await signal(id, { by: "ann" }, { "Idempotency-Key": "one key, with spaces" })).status).toBe(202);
  });

  test.each([["text"], [7], [[]], [null], [{ deep: [{ down: 1 }] }]])("may bring any JSON: %j", async (data) => {
    const id = await start("anything");
    expect((await signal(id, data, {}, "say")).status).toBe(202);
    expect(await until(id, "completed")).toMatchObject({ output: data });
  });

  test("without a body brings null", async () => {
    const id = await start("anything");
    expect((await signal(id, undefined, {}, "say")).status).toBe(202);
    expect(await until(id, "completed")).toMatchObject({ output: null });
  });

  test("is refused where it does not fit, and where there is nothing that takes it", async () => {
    const id = await start("approval");
    expect(await signal(id, { by: 7 })).toMatchObject({
      status: 422,
      body: { type: "urn:millrace:problem:invalid-input", errors: [{ path: ["by"] }] },
    });
    for (const name of ["end", "nothing", "__proto__", "a b"])
      expect(await signal(id, { by: "ann" }, {}, encodeURIComponent(name))).toMatchObject({ status: 404 });
    for (const unknown of ["nothing", "a%20b"]) expect((await signal(unknown, { by: "ann" })).status).toBe(404);
    expect((await signal(id, { by: "ann" }, { "Idempotency-Key": "" })).status).toBe(400);
    await gateway.call("POST", `/v1/runs/${id}/cancel`);
    const late = await signal(id, { by: "ann" });
    expect(late).toMatchObject({ status: 409, body: { type: "urn:millrace:problem:run-ended" } });
    expect(late.headers.get("content-type")).toBe("application/problem+json");
  });

  test("is JSON of a bounded size", async () => {
    const id = await start("anything");
    const send = async (body: string, type: string) =>
      answerOf(
        await fetch(`${gateway.url}/v1/runs/${id}/signals/say`, {
          method: "POST",
          body,
          headers: { "Content-Type": type },
        }),
      );
    expect((await send("{", "application/json")).status).toBe(400);
    expect((await send("", "application/json")).status).toBe(400);
    expect((await send('{"__proto__":1}', "application/json")).status).toBe(400);
    expect((await send("hello", "text/plain")).status).toBe(415);
    expect((await send(JSON.stringify("x".repeat(1_100_000)), "application/json")).status).toBe(413);
    expect((await run(id)).status).toMatch(/waiting|running|queued/);
    await gateway.call("POST", `/v1/runs/${id}/cancel`);
  });
});

describe("the items of a step", () => {
  test("are listed by page, in order, with what became of them", async () => {
    const id = await start("squares", { list: [1, -1, 3] });
    const ended = await until(id, "completed");
    expect(ended.steps.square).toMatchObject({ items: { total: 3, done: 2, failed: 1 }, progress: 1 });
    const items = (query = "") => gateway.call("GET", `/v1/runs/${id}/steps/square/items${query}`);
    const first = await items("?limit=2");
    expect(first).toMatchObject({
      status: 200,
      body: {
        data: [
          { item: 0, status: "completed", output: 1 },
          { item: 1, status: "failed", error: { message: "negative" } },
        ],
        next: "2",
      },
    });
    expect((await items("?limit=2&cursor=2")).body).toEqual({ data: [{ item: 2, status: "completed", output: 9 }] });
    expect((await items("?cursor=99")).body).toEqual({ data: [] });
    const turns = await gateway.call("GET", `/v1/runs/${id}/steps/halve/items`);
    expect(turns.body.data).toMatchObject([
      { item: 0, output: { list: [1] } },
      { item: 1, output: { list: [] } },
    ]);
  });

  test("are refused of what has none, and for a page that is none", async () => {
    const id = await start("squares", { list: [] });
    await until(id, "completed");
    const other = await start("anything");
    for (const path of [`${other}/steps/say`, `${id}/steps/nothing`, "nothing/steps/square"])
      expect((await gateway.call("GET", `/v1/runs/${path}/items`)).status, path).toBe(404);
    for (const query of ["limit=0", "limit=101", "cursor=x", "more=1"])
      expect((await gateway.call("GET", `/v1/runs/${id}/steps/square/items?${query}`)).status, query).toBe(422);
    expect((await gateway.call("GET", `/v1/runs/${id}/steps/square/items`)).body).toEqual({ data: [] });
    await gateway.call("POST", `/v1/runs/${other}/cancel`);
  });
});
