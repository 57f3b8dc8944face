import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

/** What the model is asked for. The test, and whoever tries this out, puts another in its place. */
export type Model = (prompt: string) => Promise<{ text: string; tokens: number }>;

/**
 * Sums up a user's letters with a model that is paid by the token and lets 100 requests in a minute. Each user has two
 * requests at once and 20,000 tokens a minute; whoever sends a thousand letters waits for their own, and nobody else does.
 */
export const summaries = (model: Model) =>
  workflow("summaries", { input: v.object({ user: v.string(), letter: v.string() }) }).step("summarize", {
    limits: {
      key: ({ user }) => user,
      concurrency: 2,
      tokens: { perMinute: 20_000 },
      total: { concurrency: 10, rate: { count: 100, windowMs: 60_000 } },
    },
    run: async ({ letter }, ctx) => {
      const { text, tokens } = await model(`Sum up: ${letter}`);
      // What it has cost is known only now. The user's next request waits until it has come back.
      ctx.spend(tokens);
      return text;
    },
  });

/** Whose letters wait for which limit. */
export async function waitingUsers({ runs }: Millrace): Promise<string[]> {
  const { data } = await runs.list({ workflow: "summaries", status: "waiting" });
  const views = await Promise.all(data.map(({ id }) => runs.get(id)));
  return views.flatMap(({ steps }) => steps.summarize?.waitingFor?.key ?? []);
}
