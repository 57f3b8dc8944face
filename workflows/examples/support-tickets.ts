import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

const REFUND = /refund|money back/i;

/** Answers a ticket. Those about money go by way of a refund; either way there is one reply. */
export const supportTickets = workflow("support-tickets", { input: v.object({ text: v.string(), cents: v.number() }) })
  .step("classify", ({ text, cents }) => ({ isRefund: REFUND.test(text), cents }))
  .step("refund", {
    after: ["classify"],
    when: ({ isRefund }) => isRefund,
    run: ({ cents }, ctx) => `${cents} cents by ${ctx.idempotencyKey}`,
  })
  .step("advise", { after: ["classify"], when: ({ isRefund }) => !isRefund, run: () => "Have you restarted it?" })
  // A join of branches: what was not taken is undefined, and its type says so.
  .step("reply", {
    after: ["refund", "advise"],
    run: ({ refund, advise }) => (refund === undefined ? (advise ?? "") : `We refund ${refund}.`),
  });
