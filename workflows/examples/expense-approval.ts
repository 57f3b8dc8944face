import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

const decision = v.object({ by: v.string(), approved: v.boolean() });

/** Pays an expense when somebody has approved it. Where nobody says anything for two days, it goes to the manager. */
export const expenseApproval = workflow("expense-approval", { input: v.object({ cents: v.number() }) })
  .waitFor("decision", { schema: decision, timeoutMs: 2 * 86_400_000 })
  .step("settle", {
    after: ["decision"],
    when: (decision) => !decision.timedOut,
    run: (decision) => (!decision.timedOut && decision.data.approved ? "paid" : "refused"),
  })
  .step("escalate", {
    after: ["decision"],
    when: (decision) => decision.timedOut,
    run: () => "sent to the manager",
  })
  .step("file", { after: ["settle", "escalate"], run: ({ settle, escalate }) => `filed: ${settle ?? escalate}` });

/** What a click in a mail does, once or twice: the key makes it count once. */
export function decide({ runs }: Millrace, run: string, by: string, approved: boolean): Promise<void> {
  return runs.signal(run, "decision", { by, approved }, { key: by });
}
