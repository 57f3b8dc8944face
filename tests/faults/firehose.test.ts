import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Schedule } from "../support/faults/schedule.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { Follower } from "../support/follower.ts";
import { rawRedis } from "../support/redis.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../support/restartable-redis.ts";

const RUNS = sized(200, 5_000);
const EVENTS = 20;

const talk = workflow("talk", { input: any() })
  .step("talk", async (_, ctx) => {
    for (let n = 1; n <= EVENTS; n += 1) {
      ctx.emit({ n });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })
  .step("end", () => null);

test.each([
  ["subscriptions that are cut again and again", 1, sized(15, 200), "cut"],
  ["subscriptions that are cut, with 16 partitions", 16, sized(10, 100), "cut"],
  ["a Redis that is killed and started again", 1, sized(2, 20), "kill"],
] as const)(
  "%s: whoever watches all runs is told each number of each once and in order",
  async (_, partitions, faults, kind) => {
    await using redis = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
    await using engine = await engineUnderTest([talk], { url: redis.url, partitions });
    await engine.worker({ concurrency: 20 });
    const connected: boolean[] = [];
    const stop = engine.millrace.onConnection((isConnected) => connected.push(isConnected));
    const follower = new Follower(engine.millrace);
    const following = follower.follow();
    await follower.until("it has begun", () => follower.cursors > 0);
    const starts = Array.from({ length: RUNS }, () => engine.millrace.runs.start(talk, null));
    const runs = (await Promise.all(starts)).map(({ id }) => id);

    const schedule = new Schedule(faults);
    const cut = {
      name: "CLIENT KILL TYPE pubsub",
      inject: async () => {
        const admin = rawRedis(redis.url);
        const killed = await admin.call("CLIENT", "KILL", "TYPE", "pubsub");
        admin.disconnect();
        return `${killed} cut`;
      },
    };
    const kill = {
      name: "kill",
      inject: async () => {
        await redis.kill();
        await redis.start();
        return undefined;
      },
    };
    const total = RUNS * (EVENTS + 7);
    await schedule.run([kind === "cut" ? cut : kill], (random) => {
      const seen = follower.events + random.whole(1, total / (2 * faults));
      return follower.until("some more", () => follower.events >= Math.min(seen, total));
    });
    await follower.until("all have ended", () => follower.ended.size === RUNS);
    follower.cut();
    await following;
    stop();
    expect(await follower.incomplete(runs)).toEqual([]);
    expect([follower.repeated, follower.resets]).toEqual([0, []]);
    expect(follower.events).toBe(total);
    // Whoever asked was told that it was lost, and that it is back.
    expect(connected.slice(0, 2)).toEqual([false, true]);
    schedule.complete();
  },
  TIMEOUT_MS,
);
