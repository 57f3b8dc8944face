import { Redis, type RedisOptions } from "ioredis";
import { afterEach, expect, test, vi } from "vitest";
import { Subscriber } from "../../engine/redis/subscriber.ts";
import { rawRedis, redisUrl } from "../support/redis.ts";
import { restartableRedis } from "../support/restartable-redis.ts";
import { runName } from "../support/run.ts";

const channel = (name: string) => `{deaf-${runName()}}:${name}`;
let subscriber: Subscriber | undefined;
afterEach(() => subscriber?.close());

/** Opens these servers in turn, and the last one again and again. */
function opening(urls: readonly string[]) {
  const opened: string[] = [];
  const open = (options: RedisOptions) => {
    opened.push(urls[Math.min(opened.length, urls.length - 1)]!);
    return new Redis(opened.at(-1)!, { ...options, lazyConnect: true });
  };
  return { opened, open };
}

test("one whose connection lives and hears nothing is replaced, and its listeners are told; one that hears is not", async () => {
  // As a node that has left its cluster: it answers, and what is published at the others does not reach it.
  await using alone = await restartableRedis({ appendOnly: false });
  const { opened, open } = opening([alone.url, redisUrl]);
  const redis = rawRedis();
  let beats = 0;
  const publish = async (to: string) => {
    await redis.publish(to, "");
    beats += 1;
  };
  subscriber = new Subscriber(open, undefined, { channel: channel("heard"), publish, everyMs: 50 });
  const told: string[] = [];
  const listener = { message: (text: string) => told.push(text), missed: () => told.push("missed") };
  await subscriber.listen(channel("news"), listener).heard;
  await vi.waitFor(() => expect(told).toEqual(["missed"]), { timeout: 10_000 });
  await redis.publish(channel("news"), "hello");
  await vi.waitFor(() => expect(told).toEqual(["missed", "hello"]));
  // What is published to it comes, so it hears itself.
  await vi.waitFor(() =>
    expect(subscriber!.health).toEqual({ isHearing: true, silentMs: expect.toSatisfy((ms) => ms < 1_000) }),
  );
  const since = beats;
  await vi.waitFor(() => expect(beats).toBeGreaterThan(since + 10), { timeout: 10_000 });
  expect(opened).toEqual([alone.url, redisUrl]);
});

test("one that cannot publish to itself is left alone: what it hears is not in doubt", async () => {
  const { opened, open } = opening([redisUrl]);
  let beats = 0;
  const publish = () => {
    beats += 1;
    return Promise.reject(new Error("away"));
  };
  subscriber = new Subscriber(open, undefined, { channel: channel("heard"), publish, everyMs: 20 });
  await vi.waitFor(() => expect(beats).toBeGreaterThan(10), { timeout: 10_000 });
  expect(opened).toHaveLength(1);
});
