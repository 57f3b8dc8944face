import * as v from "valibot";
import { RetryAfterError, workflow } from "../../engine/index.ts";
import { type TestKitOptions, testKit } from "../../engine/testing/index.ts";

const THREE_DAYS_MS = 3 * 86_400_000;

/** Renews a subscription. A card that is refused is charged again every three days, four times in all. */
export const renewal = workflow("renewal", { input: v.object({ customer: v.string(), cents: v.number() }) })
  .step("charge", {
    retry: { attempts: 4 },
    run: async ({ customer, cents }, ctx) => {
      const response = await fetch(`${ctx.env.BANK_URL}/charges`, {
        method: "POST",
        headers: { "Idempotency-Key": ctx.idempotencyKey },
        body: JSON.stringify({ customer, cents }),
        signal: ctx.signal,
      });
      if (response.status === 402) throw new RetryAfterError("The card is refused.", THREE_DAYS_MS);
      if (!response.ok) throw new Error(`The bank answers ${response.status}.`);
      return { customer, receipt: await response.text() };
    },
  })
  .step("thank", ({ customer, receipt }) => `Thank you, ${customer}. Your receipt: ${receipt}`);

/** A customer whose card is refused for nine days, without a bank and in a moment. */
export async function rehearseRefusals(options?: TestKitOptions) {
  await using kit = await testKit([renewal], options);
  const charge = kit.fake(renewal, "charge", ({ customer }) => ({ customer, receipt: "R-1" }));
  const refused = new RetryAfterError("The card is refused.", THREE_DAYS_MS);
  const refusals = kit.fail(renewal, "charge", { attempts: [1, 2, 3], error: refused });

  const run = await kit.start(renewal, { customer: "Ada", cents: 900 });
  await kit.clock.advance("8 days");
  const early = await kit.millrace.runs.get(run.id);
  const ended = await kit.ended(run);
  return { early, ended, refused: refusals.count, charged: charge.calls };
}
