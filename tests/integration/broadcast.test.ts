import { any } from "valibot";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Broadcast } from "../../engine/broadcast.ts";
import { Config } from "../../engine/config.ts";
import { connect, type Millrace, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import type { ChannelListener, Subscriber } from "../../engine/redis/subscriber.ts";
import { broadcast as script } from "../../engine/scripts/broadcast.ts";
import { BroadcastStore } from "../../engine/store/broadcast-store.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { Gates } from "../support/gates.ts";
import { freshNamespace, rawRedis, redisUrl } from "../support/redis.ts";
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

describe("the configuration", () => {
  test("is had at once by who sets it, and by others as soon as they hear of it", async () => {
    await bob.config.ready();
    const heard = next(bob, "limits.rate");
    const entry = await ann.config.set("limits.rate", { perSecond: 5 });
    expect(entry).toMatchObject({ key: "limits.rate", value: { perSecond: 5 }, revision: 1 });
    expect(ann.config.get("limits.rate")).toEqual({ perSecond: 5 });
    expect(await heard).toEqual({ perSecond: 5 });
    expect([...bob.config.all().values()]).toEqual([entry]);
    const gone = next(bob, "limits.*");
    expect(await ann.config.delete("limits.rate")).toBe(true);
    expect(await gone).toBeUndefined();
    expect(bob.config.get("limits.rate")).toBeUndefined();
    expect(await ann.config.delete("limits.rate")).toBe(false);
  });

  test("is there for a process that comes later", async () => {
    await ann.config.set("a", [1, null, "ü\n"]);
    await bob.config.ready();
    expect(bob.config.get("a")).toEqual([1, null, "ü\n"]);
  });

  test("is one for all, so nobody can change it by hand", async () => {
    await ann.config.set("a", { list: [1] });
    const value = ann.config.get<{ list: number[] }>("a")!;
    expect(() => value.list.push(2)).toThrow(TypeError);
  });

  test("too large to be told is read", async () => {
    await bob.config.ready();
    const heard = next(bob, "large");
    await ann.config.set("large", "x".repeat(30_000));
    expect(await heard).toBe("x".repeat(30_000));
  });

  test("a listener hears its key or prefix, each change once and in order, until it stops; one that fails harms nobody", async () => {
    await bob.config.ready();
    const heard: unknown[] = [];
    bob.config.on("*", () => {
      throw new Error("of this listener");
    });
    bob.config.on("*", () => Promise.reject(new Error("of this listener, later")));
    const stop = bob.config.on("a.*", (value, key) => heard.push([key, value]));
    const end = next(bob, "end");
    await ann.config.set("b", 0);
    for (const n of [1, 2, 3]) await ann.config.set("a.b", n);
    await ann.config.set("end", 1);
    await end;
    stop();
    const later = next(bob, "a.c");
    await ann.config.set("a.c", 1);
    await later;
    expect(heard).toEqual([1, 2, 3].map((n) => ["a.b", n]));
  });

  test("is refused before it is read, and where it cannot be", async () => {
    expect(() => ann.config.get("a")).toThrow(expect.objectContaining({ code: "config_not_ready" }));
    for (const key of ["", "a b", ".a", "ü", "x".repeat(129)]) {
      await expect(ann.config.set(key, 1)).rejects.toMatchObject({ code: "invalid_input" });
      expect(() => ann.config.on(key === "" ? "a**" : key, () => {})).toThrow("key");
    }
    for (const value of [undefined, 1n, "x".repeat(32_767)])
      await expect(ann.config.set("a", value)).rejects.toMatchObject({ code: "invalid_input" });
  });

  test("a flag is what is stored, or the default", async () => {
    await ann.config.set("on", true);
    await ann.config.set("half", { percent: 50 });
    await ann.config.set("odd", "yes");
    const { config } = ann;
    expect([config.flag("on"), config.flag("none"), config.flag("none", { default: true })]).toEqual([
      true,
      false,
      true,
    ]);
    expect([config.flag("odd", { default: true }), config.flag("half", { default: true })]).toEqual([true, true]);
    const share = Array.from({ length: 100 }, (_, i) => config.flag("half", { unit: String(i) }));
    expect(new Set(share)).toEqual(new Set([true, false]));
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
  test("because the subscription was cut is made up for when it is back", async () => {
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

describe("what is void", () => {
  test("is told by its subject, or as all of the topic, to who listens to that topic", async () => {
    await bob.config.ready();
    const heard: unknown[] = [];
    const end = Promise.withResolvers<void>();
    const stop = bob.onInvalidate("models", (subject) => heard.push(subject));
    bob.onInvalidate("other", () => end.resolve());
    await ann.invalidate("models", "gpt 4/ü");
    await ann.invalidate("models");
    await ann.invalidate("other");
    await end.promise;
    stop();
    expect(heard).toEqual(["gpt 4/ü", undefined]);
  });

  test.each([
    ["config", "a"],
    ["", "a"],
    ["a b", "a"],
    ["models", ""],
    ["models", "a\nb"],
    ["models", "x".repeat(201)],
  ])("is not %j %j", async (topic, subject) => {
    await expect(ann.invalidate(topic, subject)).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("a handler", () => {
  const gates = new Gates();
  const watching = workflow("watching", { input: any() }).step("watch", async (_, ctx) => {
    const before = [ctx.config.get("a"), ctx.config.flag("f")];
    const changed = ctx.config.get("gate");
    await gates.pass(`${changed}`, ctx.signal);
    return [before, [ctx.config.get("a"), ctx.config.flag("f")]];
  });

  test("reads it as it is now, also while it runs", async () => {
    await using engine = await engineUnderTest([watching]);
    const { config } = engine.millrace;
    await config.set("a", 1);
    await config.set("gate", "one");
    await engine.worker();
    const { id } = await engine.millrace.runs.start(watching, null);
    await engine.until(id, ({ type }) => type === "step.started");
    await config.set("a", 2);
    await config.set("f", { percent: 100 });
    gates.open("one");
    expect((await engine.ended(id)).output).toEqual([
      [1, false],
      [2, true],
    ]);
  });

  test("has a share of its runs take part, the same in every attempt", async () => {
    const shared = workflow("shared", { input: any() }).step("ask", {
      retry: { baseMs: 0, maxMs: 0 },
      run: (earlier, ctx) => {
        const on = ctx.config.flag("half");
        seen.set(ctx.run.id, [...(seen.get(ctx.run.id) ?? []), on]);
        if (ctx.attempt === 1) throw new Error("again");
        return earlier;
      },
    });
    const seen = new Map<string, boolean[]>();
    await using engine = await engineUnderTest([shared]);
    await engine.millrace.config.set("half", { percent: 50 });
    await engine.worker();
    await Promise.all(Array.from({ length: 40 }, () => engine.run(shared, 1)));
    expect(seen.size).toBe(40);
    for (const [first, second] of seen.values()) expect(second).toBe(first);
    expect(new Set([...seen.values()].map(([on]) => on))).toEqual(new Set([true, false]));
  });

  test("remembers results until their subject or topic is invalidated, from any process", async () => {
    let made = 0;
    const caching = workflow("caching", { input: any() }).step("ask", async (model: string, ctx) => {
      const result = ctx.cached<number>("models", model, "prompt");
      if (result.value !== undefined) return result.value;
      made += 1;
      if (made === 4) {
        ctx.emit({ asked: true });
        await gates.pass("asked", ctx.signal);
      }
      result.keep(made);
      return made;
    });
    await using engine = await engineUnderTest([caching]);
    await engine.worker();
    const other = await connect({ url: redisUrl, namespace: engine.namespace, workflows: [] });
    const ask = async (model: string) => (await engine.run(caching, model)).output;
    const invalidated = (subject: string | undefined) =>
      new Promise<void>((resolve) => {
        const stop = engine.millrace.onInvalidate("models", () => {
          stop();
          resolve();
        });
        void other.invalidate("models", subject);
      });
    expect([await ask("a"), await ask("b"), await ask("a"), await ask("b")]).toEqual([1, 2, 1, 2]);
    await invalidated("a");
    expect([await ask("b"), await ask("a")]).toEqual([2, 3]);
    await invalidated(undefined);

    // What was asked for before the topic was dropped may be of before, and is not remembered.
    const { id } = await engine.millrace.runs.start(caching, "a");
    await engine.until(id, ({ type }) => type === "step.output");
    await invalidated("a");
    gates.open("asked");
    expect((await engine.ended(id)).output).toBe(4);
    expect([await ask("a"), await ask("b"), await ask("a")]).toEqual([5, 6, 5]);
    await other.close();
  });
});
