import { expect, test } from "vitest";
import { connect } from "../../../engine/index.ts";
import { Ledger, startBilling, translation } from "../../../workflows/examples/billing.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { redisUrl } from "../../support/redis.ts";

test("every completed translation is billed once, also what was completed while the service was away", async () => {
  await using engine = await engineUnderTest([translation]);
  await engine.worker();
  const ledger = new Ledger();
  const service = await connect({ url: redisUrl, namespace: engine.namespace, workflows: [] });
  try {
    const first = await startBilling(service, ledger);
    await engine.run(translation, { customer: "Ada", pages: 10 });
    await expect.poll(() => ledger.owed("Ada")).toBe(120);
    await first.stop();
    await engine.run(translation, { customer: "Ada", pages: 1 });
    await engine.run(translation, { customer: "Bob", pages: 2 });
    expect([ledger.owed("Ada"), ledger.owed("Bob")]).toEqual([120, 0]);
    await startBilling(service, ledger);
    await expect.poll(() => [ledger.owed("Ada"), ledger.owed("Bob")]).toEqual([132, 24]);
  } finally {
    await service.close();
  }
});
