import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createWorker, type Worker, workflow } from "../../engine/index.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { type KeyLimits, limitedKey } from "../support/limited-key.ts";

const echo = workflow("echo", { input: v.unknown() }).step("back", (input) => input);
let gateway: TestGateway;
let worker: Worker;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [echo], keys: true });
  worker = createWorker(gateway.millrace);
  await worker.start();
});
afterAll(async () => {
  await worker.stop();
  await gateway.close();
});

const keyOf = (limits: KeyLimits, tenant?: string) => limitedKey(gateway, limits, tenant);
type Call = Awaited<ReturnType<typeof keyOf>>["call"];

const startRun = (call: Call) => call("POST", "/v1/workflows/echo/runs", { input: {} });
/** Of a schedule that ticks once, soon. */
const once = () => ({ workflow: "echo", input: {}, at: new Date(Date.now() + 500).toISOString() });
const runsOf = async (call: Call) => (await call("GET", "/v1/runs")).body.data.length;
const shown = async (call: Call, name: string) => (await call("GET", `/v1/schedules/${name}`)).body;

test("a run of a schedule counts as its key's, and beyond the quota a tick starts none and is shown", async () => {
  const { call } = await keyOf({ quota: { runsPerDay: 2 } });
  const made = await call("PUT", "/v1/schedules/first", once());
  expect([made.status, Object.keys(made.body)]).toEqual([201, expect.not.arrayContaining(["quota"])]);
  await expect.poll(() => runsOf(call)).toBe(1);
  expect((await startRun(call)).status).toBe(202);
  expect(await startRun(call)).toMatchObject({ status: 429, body: { type: "urn:millrace:problem:quota" } });
  await call("PUT", "/v1/schedules/second", once());
  await expect.poll(async () => (await shown(call, "second")).lastError).toMatchObject({ code: "quota_exceeded" });
  expect([await runsOf(call), (await shown(call, "first")).lastError]).toEqual([2, undefined]);
});

test("of the key that last changed it", async () => {
  const limited = await keyOf({ quota: { runsPerDay: 1 } });
  const free = await keyOf({}, limited.tenant);
  expect((await startRun(limited.call)).status).toBe(202);
  await free.call("PUT", "/v1/schedules/ours", once());
  await expect.poll(() => runsOf(free.call)).toBe(2);
  await limited.call("PUT", "/v1/schedules/ours", once());
  await expect.poll(async () => (await shown(free.call, "ours")).lastError).toMatchObject({ code: "quota_exceeded" });
  expect(await runsOf(free.call)).toBe(2);
});
