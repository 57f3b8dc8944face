import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Broadcast } from "../../engine/broadcast.ts";
import { Config } from "../../engine/config.ts";
import { connect, type Millrace } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import type { ChannelListener, Subscriber } from "../../engine/redis/subscriber.ts";
import { broadcast as script } from "../../engine/scripts/broadcast.ts";
import { BroadcastStore } from "../../engine/store/broadcast-store.ts";
import { freshNamespace, isCluster, rawRedis, redisUrl } from "../support/redis.ts";
import { StoreBench } from "../support/store.ts";

let namespace: string;
let ann: Millrace;
let bob: Millrace;
beforeEach(async () => {
  namespace = freshNamespace();
  [ann, bob] = (await Promise.all([1, 2].map(() => connect({ url: redisUrl, namespace, workflows: [] })))) as [
    Millrace,
    Millrace,
  ];
});
afterEach(() => Promise.all([ann.close(), bob.close()]));

/** Resolves with what a key becomes next. */
const next = (millrace: Millrace, key: string) =>
  new Promise<unknown>((resolve) => {
    const stop = millrace.config.on(key, (value) => {
      stop();
      resolve(value);
    });
  });

/** The ids of the connections of the namespace that hear channels. */
async function subscribers(): Promise<string[]> {
  const lines = ((await rawRedis().client("LIST")) as string).split("\n");
  return lines.flatMap((line) =>
    line.includes(` name=millrace:${namespace}:subscriber `) ? [/^id=(\d+)/.exec(line)![1]!] : [],
  );
}

describe("a push that is lost", () => {
  // Two nodes have no instant in common.
  test.skipIf(isCluster)("because the subscription was cut is made up for when it is back", async () => {
    await Promise.all([ann.config.set("a", 1), bob.config.ready()]);
    const dropped = [Promise.withResolvers<string | undefined>(), Promise.withResolvers<string | undefined>()];
    let count = 0;
    bob.onInvalidate("models", (subject) => dropped[count++]!.resolve(subject));
    await ann.invalidate("models", "one");
    expect(await dropped[0]!.promise).toBe("one");
    const value = next(bob, "a");
    const keys = new NamespaceKeys(namespace);
    const change = (...args: string[]) =>
      [
        "EVAL",
        script.source,
        "2",
        keys.generations(),
        keys.config(),
        keys.broadcast(),
        ...args,
        "9",
        "9",
        "9999",
      ] as const;
    const cut = rawRedis().multi();
    for (const id of await subscribers()) cut.call("CLIENT", "KILL", "ID", id);
    cut.call(...change("config", "a", "set", "2")).call(...change("models", "two", "drop", ""));
    const done = [1, expect.any(String), expect.any(String)];
    expect((await cut.exec())!.map(([, reply]) => reply)).toEqual([1, 1, done, done]);
    expect(await value).toBe(2);
    // What it was that was dropped nobody knows any more.
    expect(await dropped[1]!.promise).toBeUndefined();
  });

  /** A copy of the configuration, whose messages and time are the test's. */
  async function copy() {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const bench = new StoreBench();
    const heard = new Set<ChannelListener>();
    const reads = { count: 0 };
    let answered: (() => Promise<void>) | undefined;
    class CountingStore extends BroadcastStore {
      override async read(known?: string) {
        reads.count += 1;
        const read = await super.read(known);
        await answered?.();
        return read;
      }
    }
    const subscriber = {
      listen(_: string, listener: ChannelListener) {
        heard.add(listener);
        return { heard: Promise.resolve(), leave: () => heard.delete(listener) };
      },
    } as unknown as Subscriber;
    const broadcast = new Broadcast(
      new CountingStore(bench.client, new NamespaceKeys(bench.namespace)),
      () => subscriber,
    );
    const config = new Config(broadcast);
    await config.ready();
    const [listener] = heard;
    const changed = (key: string) => new Promise<unknown>((resolve) => config.on(key, resolve));
    const set = async (key: string, value: string) => {
      const { topic, before, now, act, line } = (await bench.broadcast.send({
        ...{ topic: "config", subject: key, act: "set", value },
      }))!;
      return `${topic} ${before} ${now} ${act}\n${key}\n${line}`;
    };
    return {
      ...{ config, broadcast, listener: listener!, reads, changed, set },
      /** Has what every read finds be handed on only after that. */
      beforeHandedOn(act: () => Promise<void>) {
        answered = act;
      },
      async [Symbol.asyncDispose]() {
        vi.useRealTimers();
        await broadcast.stop();
        bench.close();
      },
    };
  }

  test("without a word is found by looking every few seconds", async () => {
    await using one = await copy();
    const value = one.changed("a");
    await one.set("a", "1");
    vi.advanceTimersByTime(3_000);
    expect(await value).toBe(1);
  });

  test("before another is noticed by that one, and all is read", async () => {
    await using one = await copy();
    await one.set("a", "1");
    const second = await one.set("b", "2");
    const value = one.changed("a");
    const before = one.reads.count;
    one.listener.message(second);
    vi.advanceTimersByTime(0);
    expect(await value).toBe(1);
    expect(one.reads.count).toBe(before + 1);
    expect(one.config.get("b")).toBe(2);
  });

  test("is not needed: what goes on from what is known is believed without a read, and once", async () => {
    await using one = await copy();
    const before = one.reads.count;
    const heard: unknown[] = [];
    one.config.on("*", (value) => heard.push(value));
    for (const value of ["1", "2"]) {
      const message = await one.set("a", value);
      for (let i = 0; i < 2; i += 1) one.listener.message(message);
      expect(one.config.get("a")).toBe(Number(value));
    }
    one.listener.message("what is this");
    expect(heard).toEqual([1, 2]);
    expect(one.reads.count).toBe(before);
  });

  test("while all is being read is not: what is heard then is taken over after it", async () => {
    await using one = await copy();
    const heard: unknown[] = [];
    one.config.on("*", (value) => heard.push(value));
    one.beforeHandedOn(async () => {
      for (const value of ["1", "2"]) one.listener.message(await one.set("a", value));
      expect(heard).toEqual([]);
    });
    await one.config.refresh();
    expect(heard).toEqual([1, 2]);
  });

  test("when the subscription is back all is read at once", async () => {
    await using one = await copy();
    const before = one.reads.count;
    await one.set("a", "1");
    const value = one.changed("a");
    one.listener.missed();
    vi.advanceTimersByTime(0);
    expect(await value).toBe(1);
    expect(one.reads.count).toBe(before + 1);
  });
});

test("a listener that was there before anything was read is told of all of its topic", async () => {
  await ann.invalidate("models", "one");
  const heard = new Promise((resolve) => bob.onInvalidate("models", resolve));
  expect(await heard).toBeUndefined();
});

test("a Redis that lost its data, and counts anew, is followed", async () => {
  await Promise.all([ann.config.set("a", 1), bob.config.ready()]);
  const there = next(bob, "b");
  await ann.config.set("b", 1);
  await there;
  const keys = new NamespaceKeys(namespace);
  const gone = next(bob, "b");
  await rawRedis().del(keys.config(), keys.generations());
  await ann.config.set("a", 2);
  await gone;
  expect([...bob.config.all().values()]).toMatchObject([{ key: "a", value: 2, revision: 1 }]);
});
