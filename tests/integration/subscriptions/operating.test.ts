import { any } from "valibot";
import { expect, test } from "vitest";
import { type SubscriptionOptions, workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { Inbox } from "../../support/inbox.ts";
import { monitorScripts } from "../../support/monitor.ts";
import { rawRedis } from "../../support/redis.ts";
import { restartableRedis } from "../../support/restartable-redis.ts";

const one = workflow("one", { input: any() }).step("a", (input) => input);
const chain = workflow("chain", { input: any() })
  .step("a", (input) => input)
  .step("b", (input) => input)
  .step("c", (input) => input);

test("one that is full pauses and says so; resumed, it says what it missed and goes on", async () => {
  // In a cluster a stream has another size once its slot has moved.
  await using server = await restartableRedis({ appendOnly: false });
  await using engine = await engineUnderTest([one], { url: server.url });
  const { millrace } = engine;
  const options: SubscriptionOptions = { group: "full", events: ["run.queued"], maxBytes: 16_384 };
  await millrace.subscriptions.create(options);
  await expect(millrace.subscriptions.resume("full")).rejects.toMatchObject({ code: "not_paused" });
  const start = async () => (await millrace.runs.start(one, 1)).id;
  const told: string[] = [];
  while ((await millrace.subscriptions.get("full")).paused === undefined)
    for (let i = 0; i < 64; i += 1) told.push(await start());
  const full = await millrace.subscriptions.get("full");
  expect(full.paused).toEqual({ reason: "full", since: expect.any(String) });
  expect(full.waiting).toBe(told.length);
  expect(full.bytes).toBeGreaterThan(16_384);
  await start();
  expect((await millrace.subscriptions.get("full")).waiting).toBe(told.length);
  await expect(millrace.subscriptions.resume("full")).rejects.toMatchObject({ code: "still_full" });

  const inbox = new Inbox();
  await millrace.subscribe({ ...options, concurrency: 100 }, (event) => inbox.add(event));
  await inbox.until(told.length);
  expect(inbox.events.map(({ run }) => run).sort()).toEqual([...told].sort());
  await expect.poll(async () => (await millrace.subscriptions.get("full")).inHand).toBe(0);
  const { missed } = await millrace.subscriptions.resume("full");
  expect(missed.from).toBe(full.paused!.since);
  expect(Date.parse(missed.to)).toBeGreaterThanOrEqual(Date.parse(missed.from));
  const after = await start();
  await inbox.until(told.length + 1);
  expect(inbox.events.at(-1)!.run).toBe(after);
  const view = await millrace.subscriptions.get("full");
  expect(view.paused).toBeUndefined();
  expect(view.gap).toEqual(missed);
});

test("what is stored, listed, changed and deleted", async () => {
  await using engine = await engineUnderTest([one]);
  const { subscriptions, runs } = engine.millrace;
  const made = await subscriptions.create({ group: "mail", events: ["run.failed", "run.completed", "run.failed"] });
  expect(made).toEqual({
    ...{ group: "mail", events: ["run.completed", "run.failed"], maxBytes: 67_108_864 },
    createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
    ...{ waiting: 0, inHand: 0, retrying: 0, deadLetters: 0, bytes: expect.any(Number), consumers: 0 },
  });
  await subscriptions.create({ group: "audit", tenant: "acme" });
  expect((await subscriptions.list()).map(({ group }) => group)).toEqual(["audit", "mail"]);
  const changed = await subscriptions.create({ group: "mail", workflows: ["one"], events: ["run.queued"] });
  expect(changed).toMatchObject({ events: ["run.queued"], workflows: ["one"], createdAt: made.createdAt });
  await runs.start(one, 1);
  expect(await subscriptions.get("mail")).toMatchObject({ waiting: 1, oldestAt: expect.any(String) });
  await subscriptions.delete("mail");
  for (const call of ["get", "delete", "resume", "deadLetters", "replay", "discard"] as const)
    await expect(subscriptions[call]("mail")).rejects.toMatchObject({ code: "not_found" });
  await runs.start(one, 1);
  expect((await subscriptions.list()).map(({ group }) => group)).toEqual(["audit"]);
});

test("a consumer goes on when its subscription was deleted and made again", async () => {
  await using engine = await engineUnderTest([one]);
  const { millrace } = engine;
  const inbox = new Inbox();
  const options: SubscriptionOptions = { group: "again", events: ["run.queued"] };
  await millrace.subscribe(options, (event) => inbox.add(event));
  await millrace.subscriptions.delete("again");
  await millrace.runs.start(one, 1);
  await millrace.subscriptions.create(options);
  const { id } = await millrace.runs.start(one, 2);
  await inbox.until(1);
  expect(inbox.events).toMatchObject([{ run: id }]);
});

test("a page of dead letters, and the next", async () => {
  // What failed in another partition may be a dead letter sooner.
  await using engine = await engineUnderTest([one], { partitions: 1 });
  const { millrace } = engine;
  const options = { group: "dead", events: ["run.queued"] as const, retry: { attempts: 1 } };
  const ids: string[] = [];
  await millrace.subscribe(options, () => Promise.reject(new Error("no")));
  for (let i = 0; i < 5; i += 1) ids.push((await millrace.runs.start(one, i)).id);
  await expect.poll(async () => (await millrace.subscriptions.get("dead")).deadLetters).toBe(5);
  const page = (cursor?: string) =>
    millrace.subscriptions.deadLetters("dead", { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
  const seen: string[] = [];
  for (let next: string | undefined, first = true; first || next !== undefined; first = false) {
    const { data, next: following } = await page(next);
    seen.push(...data.map(({ event }) => event.run));
    next = following;
  }
  expect(seen).toEqual([...ids].reverse());
  await expect(page("odd")).rejects.toMatchObject({ code: "invalid_input" });
});

test("without a subscription a script that appends to a log asks for their version, and that is all", async () => {
  await using engine = await engineUnderTest([chain], { partitions: 1 });
  const monitor = await monitorScripts(rawRedis(), engine.namespace);
  await engine.worker();
  await engine.run(chain, 1);
  const commands = await monitor.stop();
  const asked = commands.filter(([, key]) => /:sub/.test(key ?? "")).map((command) => command.join(" ").toLowerCase());
  const appended = commands.filter(([name, key]) => name!.toLowerCase() === "rpush" && /:log:/.test(key!)).length;
  expect(new Set(asked)).toEqual(new Set([`hget {${engine.namespace}:0}:subscriptions version`]));
  // Each of them appends once for a lone run.
  expect(asked).toHaveLength(appended);
});
