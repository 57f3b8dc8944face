import { readFile } from "node:fs/promises";
import { bareLoop } from "./contenders/bare-loop.ts";
import { type Contender, STEPS } from "./contenders/chain.ts";
import { millrace } from "./contenders/millrace.ts";
import { drained, localFleet } from "./support/drain.ts";
import { type Bench, withBench } from "./support/processes.ts";
import { median } from "./support/quantile.ts";
import { inTurn } from "./support/rounds.ts";

// Fails when the chain has become slower: its steps a second against those of the bare loop, both measured here, in turn. A figure
// that is too low is measured once more, for longer, before it counts.
const RUNS = 3_000;
/** Less than this part of the recorded ratio is a loss. */
const LEAST = 0.8;

const { chainToBareLoop } = JSON.parse(await readFile(new URL("recorded.json", import.meta.url), "utf8")) as {
  chainToBareLoop: number;
};

async function ratio(bench: Bench, rounds: number): Promise<number> {
  const drain = (contender: Contender) => () => drained(bench, contender, localFleet(contender, bench.url), RUNS);
  const took = await inTurn({ millrace: drain(millrace), bare: drain(bareLoop) }, rounds);
  const ratios = took.millrace.map((ms, round) => took.bare[round]! / ms);
  console.log(`${RUNS * STEPS.length} steps, ${rounds} rounds: ${ratios.map((each) => each.toFixed(2)).join(" ")}`);
  return median(ratios);
}

await withBench(async (bench) => {
  let measured = await ratio(bench, 5);
  if (measured < LEAST * chainToBareLoop) measured = await ratio(bench, 11);
  const said = `the chain does ${measured.toFixed(2)} of the bare loop's steps a second; recorded: ${chainToBareLoop}`;
  if (measured < LEAST * chainToBareLoop) throw new Error(`${said}. That is a loss of more than a fifth.`);
  console.log(said);
});
