import { readFile } from "node:fs/promises";
import { Redis } from "ioredis";
import { startTemporaryRedis } from "../../engine/redis/private/index.ts";
import { bareLoop } from "./bare-loop.ts";
import { STEPS } from "./chain.ts";
import { millrace } from "./millrace.ts";
import { median } from "./quantile.ts";

// Fails when the chain has become slower: its steps a second against those of the bare loop, both measured here, in turn. A figure
// that is too low is measured once more, for longer, before it counts.
const RUNS = 3_000;
/** Less than this part of the recorded ratio is a loss. */
const LEAST = 0.8;

const { chainToBareLoop } = JSON.parse(await readFile(new URL("recorded.json", import.meta.url), "utf8")) as {
  chainToBareLoop: number;
};
const server = await startTemporaryRedis();
const redis = new Redis(server.url);

async function ratio(rounds: number): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const took: number[] = [];
    for (const contender of [millrace, bareLoop]) {
      await redis.flushall();
      took.push(await contender.drain(server.url, RUNS));
    }
    // The first round warms the compilers up.
    if (round > 0) ratios.push(took[1]! / took[0]!);
  }
  console.log(`${RUNS * STEPS.length} steps, ${rounds} rounds: ${ratios.map((each) => each.toFixed(2)).join(" ")}`);
  return median(ratios);
}

try {
  let measured = await ratio(5);
  if (measured < LEAST * chainToBareLoop) measured = await ratio(11);
  const said = `the chain does ${measured.toFixed(2)} of the bare loop's steps a second; recorded: ${chainToBareLoop}`;
  if (measured < LEAST * chainToBareLoop) throw new Error(`${said}. That is a loss of more than a fifth.`);
  console.log(said);
} finally {
  redis.disconnect();
  await server.stop();
}
