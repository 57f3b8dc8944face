import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows });
});
afterAll(() => gateway.close());

const post = (path: string, body?: unknown) => gateway.call("POST", path, body);
const paused = async () => (await gateway.call("GET", "/v1/paused")).body.data;

test.each([
  ["/v1/workflows/greet", { workflow: "greet" }],
  ["/v1/workflows/held/steps/done", { workflow: "held", step: "done" }],
  ["/v1/tenants/acme", { tenant: "acme" }],
])("%s is paused, shown so, and resumed", async (path, what) => {
  for (let twice = 0; twice < 2; twice += 1) {
    const answer = await post(`${path}/pause`);
    expect([answer.status, answer.body]).toEqual([200, { ...what, paused: true }]);
  }
  expect(await paused()).toEqual([{ ...what, since: expect.stringMatching(/^\d{4}-.*Z$/) }]);
  const { data } = (await gateway.call("GET", "/v1/queues")).body;
  const shown = data.filter((queue: { paused: boolean }) => queue.paused);
  expect(shown).toHaveLength("tenant" in what ? 0 : 1);
  for (let twice = 0; twice < 2; twice += 1) {
    const answer = await post(`${path}/resume`);
    expect([answer.status, answer.body]).toEqual([200, { ...what, paused: false }]);
  }
  expect(await paused()).toEqual([]);
});

test.each([
  ["/v1/workflows/none/pause", 404],
  ["/v1/workflows/greet/steps/none/resume", 404],
  ["/v1/tenants/a:b/pause", 422],
])("%s is refused", async (path, status) => {
  const answer = await post(path);
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toContain("application/problem+json");
});

test("a run's priority is taken and shown", async () => {
  const { body } = await post("/v1/workflows/greet/runs", { input: { name: "Ada" }, priority: "low" });
  const run = async () => (await gateway.call("GET", `/v1/runs/${body.id}`)).body;
  expect(await eventually(run, ({ endedAt }) => endedAt !== undefined)).toMatchObject({
    status: "completed",
    priority: "low",
  });
});
