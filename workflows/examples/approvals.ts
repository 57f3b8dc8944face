import * as v from "valibot";
import { type MigrateResult, type Millrace, workflow } from "../../engine/index.ts";

const input = v.object({ claimant: v.string(), amount: v.number() });
const approval = v.object({ by: v.string() });

/** What was deployed last month. Its runs wait for days until somebody approves them. */
export const claimsOne = workflow("claims", { version: 1, input })
  .step("assess", ({ claimant, amount }) => ({ claimant, amount, risk: amount > 1_000 ? "high" : "low" }))
  .waitFor("approve", { schema: approval })
  .step("pay", ({ by }) => `paid, approved by ${by}`);

/** What is deployed today: what is approved is looked at by an auditor as well. */
export const claimsTwo = workflow("claims", { version: 2, input })
  .step("assess", ({ claimant, amount }) => ({ claimant, amount, risk: amount > 1_000 ? "high" : "low" }))
  .waitFor("approve", { schema: approval })
  .step("audit", {
    after: ["assess", "approve"],
    run: ({ assess, approve }) => ({ ...assess, ...approve, audited: true }),
  })
  .step("pay", ({ by, audited }) => `paid, approved by ${by}${audited ? ", audited" : ""}`);

/**
 * What an operator runs once workers of version 2 are up: the runs that wait for their approval go on waiting for it, on the
 * new steps; claims of nothing are dropped. Whatever a worker has in hand ends on version 1, or is moved by the next call.
 */
export function moveClaims({ migrate }: Millrace): Promise<MigrateResult> {
  return migrate({ workflow: claimsTwo, from: 1 }, (run) => {
    if ((run.input as { amount: number }).amount === 0) return "cancel";
    return run.steps.approve!.status === "waiting" ? { at: "approve" } : "skip";
  });
}

/** And once nothing of version 1 is live, and its workers are gone. */
export async function forgetVersionOne({ versions, retireVersion }: Millrace): Promise<boolean> {
  const [old] = (await versions({ workflow: "claims" })).filter(({ version }) => version === 1);
  if (old === undefined || old.workers > 0 || Object.values(old.runs).some((count) => count > 0)) return false;
  await retireVersion("claims", 1);
  return true;
}
