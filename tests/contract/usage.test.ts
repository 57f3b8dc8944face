import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";

const paid = workflow("paid", { input: v.object({ tokens: v.number() }) }).step("a", ({ tokens }, ctx) => {
  ctx.usage({ tokens, cost: 0.5, key: "ann@example.org" });
  return tokens;
});

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [paid] });
});
afterAll(() => gateway.close());

/** Starts a run, and waits until it has ended. */
async function run(body: unknown) {
  const { body: started } = await gateway.call("POST", "/v1/workflows/paid/runs", body);
  for await (const _ of gateway.millrace.watch(started.id));
  return (await gateway.call("GET", `/v1/runs/${started.id}`)).body;
}

test("what was used is shown with the run, by day, and by key", async () => {
  expect(await run({ input: { tokens: 7 }, budget: { tokens: 7 } })).toMatchObject({
    ...{ status: "completed", usage: { tokens: 7, cost: 0.5 }, budget: { tokens: 7 } },
    steps: { a: { usage: { tokens: 7, cost: 0.5 } } },
  });
  expect(await run({ input: { tokens: 8 }, budget: { tokens: 7 } })).toMatchObject({
    ...{ status: "failed", error: { code: "budget_exceeded" } },
  });
  const all = { tokens: 15, cost: 1, days: [{ day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/), workflow: "paid" }] };
  expect(await gateway.call("GET", "/v1/usage")).toMatchObject({ status: 200, body: all });
  const mine = await gateway.call("GET", "/v1/usage?key=ann%40example.org&workflow=paid&from=2001-01-01&to=9999-12-31");
  expect(mine).toMatchObject({ status: 200, body: all });
  expect((await gateway.call("GET", "/v1/usage?key=bob")).body).toEqual({ tokens: 0, cost: 0, days: [] });
});

test.each([
  ["GET", "/v1/usage?from=yesterday"],
  ["GET", "/v1/usage?until=2026-01-01"],
  ["GET", "/v1/usage?key="],
])("%s %s is refused", async (method, path) => {
  expect(await gateway.call(method, path)).toMatchObject({
    status: 422,
    body: { type: "urn:millrace:problem:invalid-input" },
  });
});

test.each([{}, { tokens: 0.5 }, { tokens: "7" }, { euros: 1 }, 5])("a budget of %j is refused", async (budget) => {
  const answer = await gateway.call("POST", "/v1/workflows/paid/runs", { input: { tokens: 1 }, budget });
  expect(answer).toMatchObject({ status: 422, body: { type: "urn:millrace:problem:invalid-input" } });
});
