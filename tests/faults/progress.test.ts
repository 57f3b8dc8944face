import * as v from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { Schedule } from "../support/faults/schedule.ts";
import { sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { openProxy } from "../support/proxy.ts";
import { rawRedis } from "../support/redis.ts";
import { restartableRedis } from "../support/restartable-redis.ts";

/** A subscriber that has more than this to take is cut off by Redis, without a word. */
const OUTPUT_LIMIT = 65_536;
/** One event, less than what is published along with its number. */
const TEXT = "x".repeat(4_000);
/** Together those of one commit are more than the limit. */
const RUNS = 32;
const EVENTS = sized(12, 200);

const talk = workflow("talk", { input: v.object({ count: v.number() }) }).step("talk", async ({ count }, ctx) => {
  for (let n = 1; n <= count; n += 1) {
    ctx.emit({ n, text: TEXT });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

/** Runs that are watched: each from its beginning, and by others from somewhere in it, who come while it goes on. */
class Watched {
  readonly #engine: EngineUnderTest;
  readonly #runs = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #seen = 0;

  constructor(engine: EngineUnderTest) {
    this.#engine = engine;
  }

  async start(): Promise<void> {
    const starts = Array.from({ length: RUNS }, () => this.#engine.millrace.runs.start(talk, { count: EVENTS }));
    for (const { id } of await Promise.all(starts)) this.#runs.set(id, 0);
  }

  /** Resolves once so many more events were seen by the first watchers. */
  progress(more: number): Promise<void> {
    const wanted = Math.min(this.#seen + more, RUNS * EVENTS);
    return new Promise((resolve) => {
      const look = () => {
        if (this.#seen < wanted) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Watches all from their first events to their last. @throws unless each number comes once, and in order */
  async all(): Promise<void> {
    const watch = async (run: string) => {
      await this.#follow(run, 0, (seq) => {
        this.#runs.set(run, seq);
        this.#seen += 1;
        for (const look of this.#waiting) look();
      });
    };
    await Promise.all([...this.#runs.keys()].map(watch));
  }

  /** Watches one from a number up to what was seen of it so far. */
  async one(pick: (most: number) => number): Promise<void> {
    const [run, seen] = [...this.#runs][pick(RUNS - 1)]!;
    await this.#follow(run, pick(seen), () => {});
  }

  async #follow(run: string, after: number, saw: (seq: number) => void): Promise<void> {
    let last = after;
    for await (const event of this.#engine.millrace.watch(run, { after: String(after) })) {
      if (event.type === "reset") throw new Error("The log was lost.");
      if (event.seq !== last + 1) throw new Error(`Of ${run}, ${event.seq} came after ${last}.`);
      last = event.seq;
      saw(last);
    }
    expect(last).toBe((await this.#engine.millrace.runs.get(run)).seq);
    // Queued, started, the step's start and end, and the run's.
    expect(last).toBe(EVENTS + 5);
  }
}

test(
  "subscriptions are cut again and again: every watcher sees each number once and in order, from where it begins",
  async () => {
    await using redis = await restartableRedis({ appendOnly: false });
    await using engine = await engineUnderTest([talk], redis);
    await engine.worker({ concurrency: RUNS });
    const watched = new Watched(engine);
    await watched.start();
    const others: Promise<void>[] = [];
    const schedule = new Schedule(sized(20, 300));
    const client = rawRedis(redis.url);
    const kill = {
      name: "CLIENT KILL TYPE pubsub",
      async inject() {
        const cut = Number(await client.call("CLIENT", "KILL", "TYPE", "pubsub"));
        for (let n = 0; n < 2; n += 1) others.push(watched.one((most) => schedule.random.whole(0, most)));
        return `${cut} cut`;
      },
    };
    await Promise.all([watched.all(), schedule.run([kill], (random) => watched.progress(random.whole(1, 2 * EVENTS)))]);
    await Promise.all(others);
    schedule.complete();
    expect(String(schedule)).toContain(": 1 cut");
  },
  TIMEOUT_MS,
);

test(
  "Redis cuts off a subscriber that has too much to take: its watchers see each number once and in order all the same",
  async () => {
    const args = ["--client-output-buffer-limit", `pubsub ${OUTPUT_LIMIT} 0 0`];
    await using redis = await restartableRedis({ appendOnly: false, args });
    await using proxy = await openProxy(redis.url);
    await using engine = await engineUnderTest([talk], { url: proxy.url });
    await engine.worker({ concurrency: RUNS });
    const before = proxy.connections;
    const watched = new Watched(engine);
    await watched.start();
    await watched.all();
    console.log(`cut off ${proxy.connections - before} times`);
    expect(proxy.connections).toBeGreaterThan(before);
  },
  TIMEOUT_MS,
);
