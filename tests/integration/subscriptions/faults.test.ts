import { any } from "valibot";
import { expect, test } from "vitest";
import { type SubscriptionOptions, workflow } from "../../../engine/index.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { startPrivateRedis } from "../../../engine/redis/private/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { Inbox } from "../../support/inbox.ts";
import { rawRedis } from "../../support/redis.ts";
import { KEEPS_ALL_WHEN_KILLED, restartableRedis } from "../../support/restartable-redis.ts";
import { temporaryDir } from "../../support/run.ts";

const one = workflow("one", { input: any() }).step("a", (input) => input);
const options: SubscriptionOptions = { group: "mail", events: ["run.queued"] };

test("a consumer goes on after its connections were cut, and after Redis was killed and is back", async () => {
  await using server = await restartableRedis({ args: KEEPS_ALL_WHEN_KILLED });
  const engine = await engineUnderTest([one], { url: server.url });
  try {
    const { millrace } = engine;
    const inbox = new Inbox();
    await millrace.subscribe({ ...options, leaseMs: 500 }, (event) => inbox.add(event));
    const ids = [(await millrace.runs.start(one, 1)).id];
    await inbox.until(1);
    await rawRedis(server.url).call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    ids.push((await millrace.runs.start(one, 2)).id);
    await inbox.until(2);
    await server.kill();
    await server.start();
    ids.push((await millrace.runs.start(one, 3)).id);
    await inbox.until(3);
    expect(new Set(inbox.events.map(({ run }) => run))).toEqual(new Set(ids));
  } finally {
    await engine[Symbol.asyncDispose]();
  }
});

test("an event that took down three consumers is a dead letter, and is not handed over", async () => {
  await using engine = await engineUnderTest([one], { partitions: 1 });
  const { millrace } = engine;
  await millrace.subscriptions.create(options);
  const { id } = await millrace.runs.start(one, 1);
  const stream = new NamespaceKeys(engine.namespace).partition(0).subscription("mail");
  const redis = rawRedis();
  await redis.call("XREADGROUP", "GROUP", "workers", "dead", "STREAMS", stream, ">");
  const [[entry]] = (await redis.xrange(stream, "-", "+")) as [[string, string[]]];
  await redis.call("XCLAIM", stream, "workers", "dead", 0, entry, "RETRYCOUNT", 3);
  const inbox = new Inbox();
  await millrace.subscribe({ ...options, leaseMs: 200 }, (event) => inbox.add(event));
  await expect.poll(async () => (await millrace.subscriptions.get("mail")).deadLetters).toBe(1);
  const [letter] = (await millrace.subscriptions.deadLetters("mail")).data;
  expect(letter).toMatchObject({ event: { run: id }, attempts: 3, error: { code: "handler_crashed" } });
  expect(inbox.events).toEqual([]);
});

test("over the memory limit what waits is handled, tried again and given up, and groups are resumed and removed", async () => {
  const args = ["--maxmemory", "6mb", "--maxmemory-policy", "noeviction"];
  const server = await startPrivateRedis({ dir: await temporaryDir(), appendOnly: false, args });
  try {
    await using engine = await engineUnderTest([one], { url: server.url });
    const { millrace } = engine;
    await millrace.subscriptions.create(options);
    await millrace.subscriptions.create({ ...options, group: "aside" });
    const accepted: string[] = [];
    for (;;) {
      const started = await millrace.runs.start(one, "x".repeat(10_000)).catch((error: Error) => error);
      if (started instanceof Error) break;
      accepted.push(started.id);
    }
    const inbox = new Inbox();
    const retry = { attempts: 2, baseMs: 1, jitter: "none" } as const;
    await millrace.subscribe({ ...options, retry, concurrency: 10 }, (event, { attempt }) => {
      if (event.run === accepted[0] || (event.run === accepted[1] && attempt === 1)) throw new Error("no");
      inbox.add(event);
    });
    await inbox.until(accepted.length - 1);
    await expect.poll(async () => (await millrace.subscriptions.get("mail")).deadLetters).toBe(1);
    expect(new Set(inbox.events.map(({ run }) => run))).toEqual(new Set(accepted.slice(1)));
    const hash = new NamespaceKeys(engine.namespace).partition(0).subscriptions();
    const redis = rawRedis(server.url);
    await redis.config("SET", "maxmemory", "64mb");
    await redis.hset(hash, "paused:aside", "full 1700000000000");
    await redis.config("SET", "maxmemory", "1mb");
    await expect(millrace.subscriptions.create({ ...options, group: "new" })).rejects.toMatchObject({
      code: "unavailable",
    });
    await millrace.subscriptions.resume("aside");
    await millrace.subscriptions.delete("aside");
    expect((await millrace.subscriptions.list()).map(({ group }) => group)).toEqual(["mail"]);
  } finally {
    await server.stop();
  }
});
