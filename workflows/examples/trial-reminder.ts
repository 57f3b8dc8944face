import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

const DAY_MS = 86_400_000;

/** Reminds a customer three days before a trial ends, and again on the day. No worker is held meanwhile. */
export const trialReminder = workflow("trial-reminder", {
  input: v.object({ customer: v.string(), endsAt: v.pipe(v.string(), v.isoTimestamp()) }),
})
  .sleep("until-soon", { until: ({ endsAt }) => new Date(Date.parse(endsAt) - 3 * DAY_MS) })
  .step("remind", ({ customer, endsAt }) => ({ endsAt, sent: [`${customer}: your trial ends in three days`] }))
  .sleep("until-the-end", { until: ({ endsAt }) => endsAt })
  .step("remind-again", ({ sent }) => [...sent, "Your trial ends today."]);
