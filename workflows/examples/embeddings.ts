import * as v from "valibot";
import { FatalError, RetryAfterError, workflow } from "../../engine/index.ts";

/** Stands for a model on a GPU: a call costs about the same for one text as for many. */
export const gpu = {
  calls: [] as number[],
  async embed(texts: readonly string[]): Promise<({ vector: number[] } | { busy: true })[]> {
    this.calls.push(texts.length);
    return texts.map((text) => (text.includes("busy") && this.calls.length === 1 ? { busy: true } : vectorOf(text)));
  },
};

function vectorOf(text: string): { vector: number[] } {
  return { vector: [text.length, new Set(text.toLowerCase()).size] };
}

const input = v.object({ text: v.string() });

/** Embeds a text together with those of other runs: 16 at once, or what has come within 25 ms. */
export const embeddings = workflow("embeddings", { input })
  .batch("embed", {
    size: 16,
    waitMs: 25,
    retry: { attempts: 3, baseMs: 10 },
    run: async (inputs, ctxs) => {
      const vectors = await gpu.embed(inputs.map(({ text }) => text));
      return vectors.map((answer, i) => {
        // One that cannot be done is no reason to do the others again.
        if (inputs[i]!.text === "") return new FatalError("There is nothing to embed.", { code: "empty_text" });
        if ("busy" in answer) return new RetryAfterError("The model has no room for this text.", 10);
        ctxs[i]!.usage({ tokens: inputs[i]!.text.length });
        return answer.vector;
      });
    },
  })
  .step("normalise", (vector) => {
    const length = Math.hypot(...vector);
    return vector.map((each) => each / length);
  });
