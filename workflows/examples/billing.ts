import * as v from "valibot";
import { FatalError, type Millrace, type SubscriptionConsumer, workflow } from "../../engine/index.ts";

/** What customers have run up, in cents. Stands for a database that takes each receipt once. */
export class Ledger {
  readonly #entries = new Map<string, { customer: string; cents: number }>();

  /** The same receipt again changes nothing. */
  book(receipt: string, customer: string, cents: number): void {
    this.#entries.set(receipt, { customer, cents });
  }

  owed(customer: string): number {
    return [...this.#entries.values()].reduce((sum, each) => sum + (each.customer === customer ? each.cents : 0), 0);
  }
}

/** Translates by the page, and knows nothing of bills. */
export const translation = workflow("translation", { input: v.object({ customer: v.string(), pages: v.number() }) })
  .step("translate", ({ customer, pages }) => ({ customer, pages }))
  .step("price", ({ customer, pages }) => ({ customer, cents: pages * 12 }));

const bill = v.object({ customer: v.string(), cents: v.number() });

/**
 * The billing service: a process of its own, with a group of its own. What is completed while it is away waits for it;
 * what it is handed twice, it books once, by the key; what it cannot read is a dead letter at once.
 */
export function startBilling(millrace: Millrace, ledger: Ledger): Promise<SubscriptionConsumer> {
  return millrace.subscribe(
    { group: "billing", events: ["run.completed"], workflows: ["translation"], retry: { attempts: 8 } },
    async (event, { idempotencyKey }) => {
      const { output } = await millrace.runs.get(event.run, { tenant: event.tenant });
      if (!v.is(bill, output)) throw new FatalError(`Run ${event.run} came to nothing that can be billed.`);
      ledger.book(idempotencyKey, output.customer, output.cents);
    },
  );
}
