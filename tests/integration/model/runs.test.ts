import fc from "fast-check";
import { expect, test } from "vitest";
import { newSeed, sized, TIMEOUT_MS } from "../../support/faults/settings.ts";
import { ModelBench } from "../../support/model/bench.ts";
import { command } from "../../support/model/commands.ts";
import { EXAMPLES } from "../../support/model/examples.ts";
import { LOOKS_EVERY, Pair } from "../../support/model/pair.ts";
import { SHAPES } from "../../support/model/shapes.ts";
import { isCluster } from "../../support/redis.ts";

/** On a cluster, where each read goes alone, a sequence takes several times as long. */
const SEQUENCES = isCluster ? 300 : sized(10_000, 30_000);

/** What must have been answered at least once, or too little was tried to say anything: the examples see to that. */
const ANSWERS = [
  ...["admit Done", "admit Already", "end Done", "end NotOwner", "end RunEnded", "beat Done", "beat NotOwner"],
  ...["cancel Done", "cancel Already", "cancel RunEnded", "signal Done", "signal Already", "signal Stale"],
  ...["signal RunEnded", "promote Done", "replay Done", "replay UnknownRun", "discard Done", "discard UnknownRun"],
];

test(
  "whatever is done in whatever order, Redis holds what the model says, and every run ends",
  async () => {
    const seed = newSeed();
    console.log(`${SEQUENCES} sequences of SEED=${seed}`);
    const answers = new Map<string, number>();
    const commands = fc.array(command, { minLength: 10, maxLength: 50, size: "max" });
    const shapes = fc.shuffledSubarray([...SHAPES], { minLength: 1, maxLength: 2 });
    const look = fc.nat(LOOKS_EVERY - 1);
    const check = async (seed: number, examples: typeof EXAMPLES) => {
      const bench = new ModelBench();
      const sequence = fc.asyncProperty(shapes, commands, look, async (shapes, commands, look) => {
        await bench.clear(shapes);
        const pair = new Pair(bench, shapes, look);
        for (const each of commands) await pair.do(each);
        await pair.finish();
        for (const [answer, times] of pair.answers) answers.set(answer, (answers.get(answer) ?? 0) + times);
      });
      try {
        await fc.assert(sequence, { seed, numRuns: SEQUENCES / 2, examples, endOnFailure: sized(true, false) });
      } finally {
        bench.close();
      }
    };
    // Two namespaces at once: while one waits for Redis the other goes on.
    await Promise.all([check(seed, EXAMPLES), check(seed + 1, [])]);
    expect(ANSWERS.filter((answer) => !answers.has(answer))).toEqual([]);
  },
  sized(10 * TIMEOUT_MS, TIMEOUT_MS),
);
