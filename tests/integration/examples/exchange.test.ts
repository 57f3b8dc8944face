import { expect, test } from "vitest";
import { exchange, operate, rates } from "../../../workflows/examples/exchange.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("fee, rounding and rate follow what the operator says", async () => {
  await using engine = await engineUnderTest([exchange]);
  await engine.worker();
  const output = async (customer: string) =>
    (await engine.run(exchange, { amount: 100, currency: "USD", customer })).output;
  rates.calls = 0;
  expect(await output("ann")).toEqual({ amount: 124.5, currency: "USD" });
  await output("ann");
  expect(rates.calls).toBe(1);

  await operate(engine.millrace);
  expect(await output("ann")).toEqual({ amount: 124, currency: "USD" });
  expect(rates.calls).toBe(2);
  await engine.millrace.config.set("exchange.fee", 0.7);
  await engine.millrace.config.set("exchange.rounding", { percent: 100 });
  expect(await output("ann")).toEqual({ amount: 124, currency: "USD" });
});
