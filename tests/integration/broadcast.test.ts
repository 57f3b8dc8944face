import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, type Millrace } from "../../engine/index.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";

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
