import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

let gateway: TestGateway;
let headers: Record<string, string>;
beforeAll(async () => {
  gateway = await startGateway({ workflows: gatewayWorkflows().workflows, keys: true });
  const scopes = ["runs:read", "runs:write"] as const;
  const { secret } = await gateway.millrace.access.keys.create({ tenant: "acme", name: "test", scopes });
  headers = { Authorization: `Bearer ${secret}` };
});
afterAll(() => gateway.close());

const start = async (): Promise<string> =>
  (await gateway.call("POST", "/v1/workflows/greet/runs", { input: { name: "Ada" } }, headers)).body.id;
const list = async (query: string, of: object) => {
  const { ticket } = (await gateway.call("POST", "/v1/tickets", of, headers)).body;
  return gateway.call("GET", `/v1/runs?${query}ticket=${ticket}`);
};

test("a ticket lists the runs of a workflow that it is for", async () => {
  const run = await start();
  const { status, body } = await list("workflow=greet&limit=1&", { workflows: ["greet", "held"] });
  expect([status, body.data]).toEqual([200, [expect.objectContaining({ id: run, workflow: "greet" })]]);
});

test.each([
  ["all", "", { workflows: ["greet"] }],
  ["another workflow", "workflow=held&", { workflows: ["greet"] }],
])("a ticket does not list %s", async (_, query, of) => {
  expect(await list(query, of)).toMatchObject({ status: 403, body: { type: "urn:millrace:problem:ticket" } });
});

test("a ticket of runs lists none", async () => {
  expect(await list("workflow=greet&", { runs: [await start()] })).toMatchObject({ status: 403 });
});
