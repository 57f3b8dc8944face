import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

/** Stands for a service that is slow and is paid per call. */
export const rates = {
  calls: 0,
  async of(currency: string): Promise<number> {
    this.calls += 1;
    return currency === "USD" ? 1.25 : 1;
  },
};

const input = v.object({ amount: v.number(), currency: v.string(), customer: v.string() });

/**
 * Changes money. The fee is a key of the configuration; new customers' rounding is a feature flag that is opened to a share
 * of them; the rate is remembered by each worker until somebody says that it is void.
 */
export const exchange = workflow("exchange", { input })
  .step("convert", async ({ amount, currency, customer }, ctx) => {
    const remembered = ctx.cached<number>("rates", currency, "latest");
    const rate = remembered.value ?? (await rates.of(currency));
    remembered.keep(rate);
    return { amount: amount * rate, currency, customer };
  })
  .step("charge", ({ amount, currency, customer }, ctx) => {
    const fee = ctx.config.get<number>("exchange.fee") ?? 0.5;
    const rounded = ctx.config.flag("exchange.rounding", { unit: customer });
    return { amount: rounded ? Math.round(amount - fee) : amount - fee, currency };
  });

/** What an operator does, from any process, while workers are at work: they see it within a second. */
export async function operate({ config, invalidate }: Millrace): Promise<void> {
  await config.set("exchange.fee", 1);
  await config.set("exchange.rounding", { percent: 20 });
  await invalidate("rates", "USD");
}
