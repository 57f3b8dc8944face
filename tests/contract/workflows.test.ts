import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false });
});
afterAll(async () => {
  expect(gateway.logged).toEqual([]);
  await gateway.close();
});

test("the workflows are listed with their versions, and what of them is live", async () => {
  const started = await gateway.call("POST", "/v1/workflows/held/runs", { input: {} });
  const { status, body } = await gateway.call("GET", "/v1/workflows");
  expect(status).toBe(200);
  expect(body.data.map(({ name }: { name: string }) => name)).toEqual(workflows.map(({ name }) => name).sort());
  const held = {
    ...{ name: "held", current: 1 },
    versions: [
      {
        ...{ version: 1, current: true, workers: 0, unserved: ["wait", "done"], stranded: true, more: false },
        runs: { queued: 1, running: 0, waiting: 0 },
        steps: [
          { name: "wait", after: [] },
          { name: "done", after: ["wait"] },
        ],
      },
    ],
  };
  expect(body.data.find(({ name }: { name: string }) => name === "held")).toEqual(held);
  expect((await gateway.call("GET", "/v1/workflows/held")).body).toEqual(held);
  const run = await gateway.call("GET", `/v1/runs/${started.body.id}`);
  expect(run.body.steps.wait).toMatchObject({ status: "queued", waitingFor: { reason: "worker" } });
});

test("a workflow that there is not is 404", async () => {
  const { status, headers } = await gateway.call("GET", "/v1/workflows/nope");
  expect([status, headers.get("content-type")]).toEqual([404, "application/problem+json"]);
});
