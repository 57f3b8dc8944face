// Publishes what `talk` emits, at the same pace, with no run behind it.
import { Redis } from "ioredis";
import { paced } from "./definitions.ts";

const [, , url, each, seconds] = process.argv;
const redis = new Redis(url!);
process.on("message", async ({ runs }: { runs: string[] }) => {
  const talk = async (run: string) => {
    let seq = 0;
    const tell = (type: string, data?: object) => {
      seq += 1;
      const event = {
        seq,
        cursor: `${seq}@${Date.now()}`,
        run,
        at: new Date().toISOString(),
        type,
        step: "talk",
        data,
      };
      return redis.publish(`bare:${run}`, JSON.stringify(event));
    };
    await paced(Number(each), Number(seconds), (n) => void tell("step.output", { n }));
    await tell("run.completed");
  };
  await Promise.all(runs.map(talk));
});
