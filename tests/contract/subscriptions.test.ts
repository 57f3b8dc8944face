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

const call = (method: string, path = "", body?: unknown) => gateway.call(method, `/v1/subscriptions${path}`, body);
const isProblem = ({ status, headers, body }: Awaited<ReturnType<typeof call>>, expected: number) => {
  expect([status, headers.get("content-type"), body.status]).toEqual([expected, "application/problem+json", expected]);
};

test("a group is made, shown, listed and removed", async () => {
  const { status, body } = await call("PUT", "/billing", { events: ["run.completed"], workflows: ["two"] });
  expect([status, body]).toEqual([
    200,
    {
      ...{ group: "billing", events: ["run.completed"], workflows: ["two"], maxBytes: 67_108_864 },
      ...{ waiting: 0, inHand: 0, retrying: 0, deadLetters: 0, consumers: 0, bytes: expect.any(Number) },
      createdAt: expect.stringMatching(/Z$/),
    },
  ]);
  expect((await call("GET", "/billing")).body).toEqual(body);
  expect((await call("GET")).body).toEqual({ data: [body] });
  isProblem(await call("POST", "/billing/resume"), 409);
  expect((await call("DELETE", "/billing")).status).toBe(204);
  isProblem(await call("DELETE", "/billing"), 404);
  isProblem(await call("GET", "/billing"), 404);
  expect((await call("GET")).body).toEqual({ data: [] });
});

test.each([
  ["an event that there is not", { events: ["run.done"] }],
  ["another field", { event: ["run.completed"] }],
  ["a size that is no number", { maxBytes: "64 MB" }],
  ["a size that is too small", { maxBytes: 10 }],
])("%s is refused", async (_, body) => {
  isProblem(await call("PUT", "/bad", body), 422);
  isProblem(await call("GET", "/bad"), 404);
});

test.each(["a b", "a:b", "x".repeat(49)])("a group cannot be called %j", async (group) => {
  const path = `/${encodeURIComponent(group)}`;
  isProblem(await call("PUT", path, {}), 422);
  for (const method of ["GET", "DELETE"]) isProblem(await call(method, path), 404);
  isProblem(await call("POST", `${path}/resume`), 404);
  isProblem(await call("GET", `${path}/dead-letters`), 404);
});

test("dead letters are listed, replayed and dropped", async () => {
  const { millrace } = gateway;
  const options = { group: "dead", events: ["run.queued"] as const, retry: { attempts: 1 } };
  const consumer = await millrace.subscribe(options, () => Promise.reject(new Error("The mail server is away.")));
  const { id } = await millrace.runs.start("greet", { name: "Ada" });
  await expect.poll(async () => (await call("GET", "/dead")).body.deadLetters).toBe(1);
  await consumer.stop();
  const { body } = await call("GET", "/dead/dead-letters?limit=5");
  expect(body).toEqual({
    data: [
      expect.objectContaining({
        event: expect.objectContaining({ run: id, type: "run.queued" }),
        ...{ attempts: 1, error: expect.objectContaining({ message: "The mail server is away." }) },
      }),
    ],
  });
  const letter = `/dead/dead-letters/${body.data[0].id}`;
  const replayed = await call("POST", `${letter}/replay`);
  expect([replayed.status, replayed.body]).toEqual([202, { replayed: 1 }]);
  isProblem(await call("POST", `${letter}/replay`), 404);
  isProblem(await call("DELETE", letter), 404);
  isProblem(await call("DELETE", "/dead/dead-letters/odd"), 404);
  expect((await call("GET", "/dead")).body).toMatchObject({ waiting: 1, deadLetters: 0 });
  expect((await call("POST", "/dead/dead-letters/replay")).body).toEqual({ replayed: 0 });
  isProblem(await call("GET", "/dead/dead-letters?limit=0"), 422);
  isProblem(await call("GET", "/dead/dead-letters?cursor=odd"), 422);
});
