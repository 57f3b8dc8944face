import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false });
});
afterAll(() => gateway.close());

const AT_ONCE = 1_000;
const count = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

test(`${AT_ONCE} starts at once with one Idempotency-Key make one run`, async () => {
  const start = () =>
    gateway.call("POST", "/v1/workflows/greet/runs", { input: { name: "Ada" } }, { "Idempotency-Key": "once" });
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, start));
  expect(count(answers, 202)).toBe(AT_ONCE);
  expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
  expect((await gateway.call("GET", "/v1/runs?workflow=greet")).body.data).toHaveLength(1);
});

test("and of those with another content exactly the ones that agree with the first are told of it", async () => {
  const start = (_: unknown, i: number) =>
    gateway.call("POST", "/v1/workflows/held/runs", { input: {}, tags: [`t${i % 2}`] }, { "Idempotency-Key": "two" });
  const answers = await Promise.all(Array.from({ length: 200 }, start));
  expect([count(answers, 202), count(answers, 422)]).toEqual([100, 100]);
  expect(new Set(answers.filter(({ status }) => status === 202).map(({ body }) => body.id)).size).toBe(1);
  expect((await gateway.call("GET", "/v1/runs?workflow=held")).body.data).toHaveLength(1);
});

test("a document that comes 50 times at once with one key is kept once and starts one run", async () => {
  const files = (await gateway.blobFiles()).length;
  const send = () =>
    fetch(`${gateway.url}/v1/documents?workflow=measure`, {
      method: "POST",
      headers: { "Idempotency-Key": "doc", "Content-Type": "text/plain" },
      body: "some text",
    });
  const first = await Promise.all(Array.from({ length: 50 }, send));
  const statuses = first.map(({ status }) => status);
  expect(statuses.every((status) => status === 202 || status === 409)).toBe(true);
  expect(statuses).toContain(202);
  const ids = await Promise.all(first.filter(({ status }) => status === 202).map((response) => response.json()));
  expect(new Set(ids.map(({ id }) => id)).size).toBe(1);
  expect((await gateway.call("GET", "/v1/runs?workflow=measure")).body.data).toHaveLength(1);
  expect((await gateway.blobFiles()).length - files).toBe(2);
});
