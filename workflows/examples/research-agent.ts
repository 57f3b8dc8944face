import * as v from "valibot";
import { workflow } from "../../engine/index.ts";

interface Notes {
  question: string;
  facts: string[];
  answer?: string | undefined;
}

/** Stands for a model: it asks for a tool until it knows enough. */
async function think({ question, facts }: Notes): Promise<{ tool: string } | { answer: string }> {
  return facts.length < 2 ? { tool: `search ${question} ${facts.length + 1}` } : { answer: facts.join(", ") };
}

const question = v.pipe(
  v.object({ question: v.string() }),
  v.transform((given): Notes => ({ ...given, facts: [] })),
);

/** An agent: each turn thinks and uses a tool, and is stored before the next one begins. A crash costs one turn. */
export const researchAgent = workflow("research-agent", { input: question })
  .repeat("turn", {
    run: async (notes, ctx): Promise<Notes> => {
      const thought = await think(notes);
      ctx.emit({ turn: ctx.item, ...thought });
      if ("answer" in thought) return { ...notes, answer: thought.answer };
      return { ...notes, facts: [...notes.facts, `result of ${thought.tool}`] };
    },
    until: ({ answer }) => answer !== undefined,
    max: 20,
  })
  .step("answer", ({ answer }) => answer ?? "");
