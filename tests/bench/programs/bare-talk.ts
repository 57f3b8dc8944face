// Publishes what `talk` emits, at the same pace, with no run behind it.
import { Redis } from "ioredis";
import { serves } from "../support/child.ts";
import { paced } from "../support/definitions.ts";

const [, , url, each, seconds] = process.argv;
const redis = new Redis(url!);

serves({
  /** Says that each run has started. */
  begin: async (runs: string[]) => {
    talkers = runs.map(talker);
    await Promise.all(talkers.map(({ tell }) => tell("step.started")));
  },
  go: () => {
    for (const { tell } of talkers)
      void paced(Number(each), Number(seconds), (n) => void tell("step.output", { n })).then(() =>
        tell("run.completed"),
      );
  },
});

let talkers: ReturnType<typeof talker>[] = [];

function talker(run: string) {
  let seq = 0;
  const tell = (type: string, data?: object) => {
    seq += 1;
    const at = new Date().toISOString();
    const event = { seq, cursor: `${seq}@${Date.now()}`, run, at, type, step: "talk", data };
    return redis.publish(`bare:${run}`, JSON.stringify(event));
  };
  return { tell };
}
