import * as v from "valibot";
import { bodyOf, type Millrace, workflow } from "../../engine/index.ts";

const DAY_MS = 86_400_000;

/**
 * Keeps a transcript of a call and sums it up. What callers say is nobody's business after a day, nor is more of it kept
 * at any time than the last thousand calls; one that failed waits a week for somebody to look at it.
 */
export const transcripts = workflow("transcripts", {
  input: v.object({ caller: v.string(), lines: v.array(v.string()) }),
  retention: { ageMs: DAY_MS, deadLetterAgeMs: 7 * DAY_MS, count: 1_000 },
})
  .step("keep", async ({ caller, lines }, ctx) => {
    const source = { tenant: ctx.run.tenant, name: "transcript.txt", type: "text/plain" };
    const transcript = await ctx.blobs.put(source, bodyOf(lines.join("\n")));
    return { caller, lines: lines.length, transcript: transcript.id };
  })
  .step("sum-up", (call) => ({ ...call, summary: `${call.caller} said ${call.lines} lines` }));

/** Somebody asks to be forgotten before the day is over: the runs go, and the transcripts that they made with them. */
export async function forget({ runs }: Millrace, ids: readonly string[]): Promise<void> {
  for (const id of ids) await runs.delete(id);
}
