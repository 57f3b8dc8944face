import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

/** Orders are checked at once; charging them needs the bank. */
export const orders = workflow("orders", { input: v.object({ order: v.string(), cents: v.number() }) })
  .step("check", (order) => order)
  .step("charge", ({ order, cents }) => ({ order, charged: cents }));

/** Holds charges back while the bank's service is down: orders go on to be checked, and queue up before it. */
export async function whileBankIsDown(millrace: Millrace, mend: () => Promise<void>): Promise<void> {
  const charge = { workflow: "orders", step: "charge" };
  await millrace.pause(charge);
  await mend();
  await millrace.resume(charge);
}

/** Holds back all that one tenant has, while the others' orders go on. */
export async function whileInDispute(millrace: Millrace, tenant: string, settle: () => Promise<void>): Promise<void> {
  await millrace.pause({ tenant });
  await settle();
  await millrace.resume({ tenant });
}
