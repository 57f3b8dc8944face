import { expect, test } from "vitest";
import { orders, whileBankIsDown, whileInDispute } from "../../../workflows/examples/pauses.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { eventually } from "../../support/gateway.ts";

test("orders are checked while the bank is down, and charged when it is back", async () => {
  await using engine = await engineUnderTest([orders]);
  const { millrace } = engine;
  const { id } = await millrace.runs.start(orders, { order: "a", cents: 5 });
  await whileBankIsDown(millrace, async () => {
    await engine.worker();
    await engine.until(id, ({ type, step }) => type === "step.completed" && step === "check");
    expect((await millrace.runs.get(id)).steps.charge?.status).toBe("queued");
  });
  expect(await engine.ended(id)).toMatchObject({ output: { order: "a", charged: 5 } });
});

test("a tenant's orders wait until its dispute is settled, another's do not", async () => {
  await using engine = await engineUnderTest([orders]);
  const { millrace } = engine;
  const tenant = "acme";
  const { id } = await millrace.runs.start(orders, { order: "b", cents: 7 }, { tenant });
  const view = () => millrace.runs.get(id, { tenant });
  await whileInDispute(millrace, tenant, async () => {
    await engine.worker();
    await eventually(view, ({ steps }) => steps.check?.waitingFor?.reason === "tenant_paused");
    expect((await engine.run(orders, { order: "c", cents: 1 })).status).toBe("completed");
    expect((await view()).steps.check).toMatchObject({ status: "waiting", attempt: 0 });
  });
  expect(await eventually(view, ({ endedAt }) => endedAt !== undefined)).toMatchObject({ status: "completed" });
});
