import { expect, test } from "vitest";
import type { Millrace } from "../../engine/index.ts";
import { Random } from "../support/faults/random.ts";
import { newSeed, sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { Follower } from "../support/follower.ts";
import { FirehoseModel } from "../support/model/firehose.ts";

const RUNS = 12;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A model in which something happens until all runs have ended, while one watches who is cut, and so is the subscriber. */
async function play(seed: number): Promise<void> {
  const random = new Random(seed);
  const model = new FirehoseModel(random);
  for (let n = random.whole(0, 20); n > 0; n -= 1) model.step(RUNS);
  // What happens in the very millisecond in which it begins, it may be told.
  model.pass();
  const follower = new Follower(model.millrace as Millrace, { snapshot: true });
  let following = follower.follow();
  following.catch(() => {});
  // Of a run that ends while it begins it is told the end alone.
  while (follower.cursors === 0) {
    model.deliver(true);
    await turn();
  }
  // What had ended by then it is told of only if it goes on.
  for (const { id, lines, length } of model.runs.values()) if (lines.length === length) follower.told.set(id, length);
  for (let n = 0; n < 150 || !model.isDone; n += 1) {
    model.step(RUNS);
    if (random.next() < 0.7) model.deliver(random.next() < 0.5);
    for (let turns = random.whole(0, 2); turns > 0; turns -= 1) await turn();
    const kind = random.next();
    if (kind < 0.05) await model.cut();
    else if (kind < 0.08 && follower.cursor !== undefined) {
      follower.cut();
      await following;
      following = follower.follow();
      following.catch(() => {});
    }
  }
  const told = () => [...model.runs.values()].every((run) => follower.told.get(run.id) === run.length);
  const pumping = setInterval(() => model.deliver(true), 1);
  try {
    await Promise.race([following, follower.until("all was told", told)]);
    expect(told()).toBe(true);
  } finally {
    clearInterval(pumping);
    follower.cut();
    await following;
  }
}

test(
  "whatever is heard, late or not at all: a watcher of all runs is told each number once and in order, over any cuts",
  async () => {
    const first = newSeed();
    const seeds = Array.from({ length: sized(150, 5_000) }, (_, i) => first + i);
    for (let at = 0; at < seeds.length; at += 50)
      await Promise.all(
        seeds.slice(at, at + 50).map((seed) =>
          play(seed).catch((error: unknown) => {
            throw new Error(`SEED=${seed}`, { cause: error });
          }),
        ),
      );
  },
  TIMEOUT_MS,
);
