import * as v from "valibot";
import { type Millrace, type StepContext, workflow } from "../../engine/index.ts";

/** Stands for a model that is paid per token. */
export const model = {
  calls: 0,
  async ask(prompt: string, _options: { idempotencyKey: string; signal: AbortSignal }) {
    this.calls += 1;
    return { text: `About ${prompt}.`, tokens: 40 + prompt.length };
  },
};

/** Asks the model once for all attempts, and says what that has used: on the asker's account too. */
async function ask(name: string, prompt: string, user: string, ctx: StepContext): Promise<string> {
  const { text } = await ctx.once(name, async () => {
    const answer = await model.ask(prompt, { idempotencyKey: `${ctx.idempotencyKey}:${name}`, signal: ctx.signal });
    ctx.usage({ tokens: answer.tokens, cost: answer.tokens * 0.000_002, key: user });
    return answer;
  });
  return text;
}

/** The letters of a text, counted without awaiting anything: between two pages it lets the process do what else it must. */
async function lettersOf(pages: readonly string[], ctx: StepContext): Promise<number> {
  let letters = 0;
  for (const [i, page] of pages.entries()) {
    for (const char of page) letters += /\p{L}/u.test(char) ? 1 : 0;
    ctx.progress((i + 1) / pages.length);
    await ctx.heartbeat();
  }
  return letters;
}

const input = v.object({ topic: v.string(), user: v.string() });

/** Has a model outline a topic and write on it. No run may use more than 500 tokens. */
export const research = workflow("research", { input, budget: { tokens: 500 } })
  .step("outline", async ({ topic, user }, ctx) => {
    const chapters = await Promise.all(
      ["history", "use"].map((part) => ask(part, `the ${part} of ${topic}`, user, ctx)),
    );
    return { chapters, user };
  })
  .step("write", {
    retry: { attempts: 3, baseMs: 10 },
    run: async ({ chapters, user }, ctx) => {
      const pages: string[] = [];
      for (const [i, chapter] of chapters.entries()) pages.push(await ask(`chapter ${i}`, chapter, user, ctx));
      // The chapters are paid for by now: this costs no second call.
      if (ctx.attempt === 1) throw new Error("The printer is out of paper.");
      return { pages, letters: await lettersOf(pages, ctx) };
    },
  });

/** What a user may be charged for. */
export async function bill(millrace: Millrace, user: string): Promise<string> {
  const { tokens, cost } = await millrace.usage({ key: user, workflow: research.name });
  return `${user} owes ${cost} for ${tokens} tokens.`;
}
