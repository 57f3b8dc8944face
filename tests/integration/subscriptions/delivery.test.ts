import { any } from "valibot";
import { expect, test } from "vitest";
import { connect, FatalError, type SubscriptionContext, workflow } from "../../../engine/index.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { Inbox } from "../../support/inbox.ts";
import { rawRedis, redisUrl } from "../../support/redis.ts";

const two = workflow("two", { input: any() })
  .step("a", (input, ctx) => {
    ctx.progress(0.5);
    return input;
  })
  .step("b", (input) => {
    if (input === "bad") throw new FatalError("no");
    return input;
  });
const other = workflow("other", { input: any() }).step("a", () => 1);
const ALL_OF_TWO = [
  ...["run.queued", "run.started", "step.started a", "step.completed a"],
  ...["step.started b", "step.completed b", "run.completed"],
];

test("two groups each get every event of a run, in order, beside those who watch it", async () => {
  await using engine = await engineUnderTest([two]);
  const [billing, audit] = [new Inbox(), new Inbox()];
  await engine.millrace.subscribe({ group: "billing" }, (event) => billing.add(event));
  await engine.millrace.subscribe({ group: "audit", concurrency: 10 }, (event) => audit.add(event));
  await engine.worker();
  const run = await engine.run(two, { n: 1 });
  await Promise.all([billing.until(7), audit.until(7)]);
  expect(billing.said()).toEqual(ALL_OF_TWO);
  expect(audit.said().sort()).toEqual([...ALL_OF_TWO].sort());
  const watched = (await engine.events(run.id)).filter(({ type }) => type !== "step.progress");
  expect(billing.events).toEqual(
    watched.map((event) => ({ ...event, workflow: "two", version: 1, tenant: "default" })),
  );
});

test("consumers of a group share its events, each to one of them", async () => {
  await using engine = await engineUnderTest([two]);
  const inbox = new Inbox();
  for (let i = 0; i < 3; i += 1) await engine.millrace.subscribe({ group: "shared" }, (event) => inbox.add(event));
  await engine.worker();
  const runs = await Promise.all(Array.from({ length: 10 }, () => engine.run(two, 1)));
  await inbox.until(70);
  for (const { id } of runs) expect(inbox.said(id).sort()).toEqual([...ALL_OF_TWO].sort());
  expect(inbox.events).toHaveLength(70);
  expect(await engine.millrace.subscriptions.get("shared")).toMatchObject({ waiting: 0, retrying: 0, consumers: 3 });
});

test("events of some types, workflows, steps and tenants, and the loud ones by name", async () => {
  await using engine = await engineUnderTest([two, other]);
  const inboxes = { types: new Inbox(), workflows: new Inbox(), steps: new Inbox(), tenant: new Inbox() };
  const into = (name: keyof typeof inboxes) => (event: Parameters<Inbox["add"]>[0]) => inboxes[name].add(event);
  const { millrace } = engine;
  await millrace.subscribe({ group: "types", events: ["step.progress", "run.completed"] }, into("types"));
  await millrace.subscribe({ group: "workflows", workflows: ["other"] }, into("workflows"));
  await millrace.subscribe({ group: "steps", workflows: ["two"], steps: ["b"] }, into("steps"));
  await millrace.subscribe({ group: "tenant", tenant: "acme", events: ["run.completed"] }, into("tenant"));
  await engine.worker();
  await engine.run(two, 1);
  await engine.run(other, 1);
  const acme = await millrace.runs.start(other, 1, { tenant: "acme" });
  await inboxes.tenant.until(1);
  await Promise.all([inboxes.types.until(4), inboxes.workflows.until(10), inboxes.steps.until(2)]);
  expect(inboxes.types.said()).toEqual(["step.progress a", "run.completed", "run.completed", "run.completed"]);
  expect(new Set(inboxes.workflows.events.map((event) => event.workflow))).toEqual(new Set(["other"]));
  expect(inboxes.steps.said()).toEqual(["step.started b", "step.completed b"]);
  expect(inboxes.tenant.events).toMatchObject([{ run: acme.id, tenant: "acme", type: "run.completed" }]);
});

test("a process that did not know of a subscription misses nothing of it", async () => {
  await using engine = await engineUnderTest([two]);
  await engine.worker();
  await engine.run(two, 1);
  const elsewhere = await connect({ url: redisUrl, namespace: engine.namespace, workflows: [] });
  try {
    await elsewhere.subscriptions.create({ group: "late" });
    const { id } = await engine.run(two, 2);
    const inbox = new Inbox();
    await elsewhere.subscribe({ group: "late" }, (event) => inbox.add(event));
    await inbox.until(7);
    expect(inbox.said()).toEqual(ALL_OF_TWO);
    expect(inbox.said(id)).toEqual(ALL_OF_TWO);
  } finally {
    await elsewhere.close();
  }
});

test("cancelled, failed and replayed runs are told too", async () => {
  await using engine = await engineUnderTest([two]);
  const inbox = new Inbox();
  const events = ["run.queued", "run.failed", "run.cancelled"] as const;
  await engine.millrace.subscribe({ group: "ends", events }, (event) => inbox.add(event));
  const { id } = await engine.millrace.runs.start(two, "bad");
  const stopped = await engine.millrace.runs.start(two, 1);
  await engine.millrace.runs.cancel(stopped.id);
  await engine.worker();
  await engine.events(id);
  const [letter] = (await engine.millrace.deadLetters.list()).data;
  await engine.millrace.deadLetters.replay(letter!.id);
  await inbox.until(6);
  expect(inbox.said(id)).toEqual(["run.queued", "run.failed", "run.queued", "run.failed"]);
  expect(inbox.said(stopped.id)).toEqual(["run.queued", "run.cancelled"]);
});

test("runs that expire, and runs that begin again in the middle, are told too", async () => {
  await using engine = await engineUnderTest([two]);
  const { millrace } = engine;
  const inbox = new Inbox();
  const events = ["run.queued", "run.failed"] as const;
  await millrace.subscribe({ group: "ends", events }, (event) => inbox.add(event));
  const expired = await millrace.runs.start(two, 1, { ttlMs: 1 });
  await engine.worker();
  await engine.events(expired.id);
  const { id } = await engine.run(two, 1);
  const again = await millrace.runs.rerun(id, { from: "b" });
  await inbox.until(4);
  expect(inbox.said(expired.id)).toEqual(["run.queued", "run.failed"]);
  expect(inbox.said(again.id)).toEqual(["run.queued"]);
});

test("a run that waits because its tenant is paused is told too", async () => {
  await using engine = await engineUnderTest([other]);
  const { millrace } = engine;
  const inbox = new Inbox();
  await millrace.subscribe({ group: "waits", events: ["run.waiting"] }, (event) => inbox.add(event));
  await millrace.pause({ tenant: "acme" });
  const { id } = await millrace.runs.start(other, 1, { tenant: "acme" });
  await engine.worker();
  await inbox.until(1);
  expect(inbox.events).toMatchObject([{ run: id, type: "run.waiting", tenant: "acme" }]);
});

test("an event is tried again after its backoff, with one key, and is a dead letter in the end", async () => {
  await using engine = await engineUnderTest([other]);
  const [failed, handled] = [new Inbox(), new Inbox()];
  const seen: SubscriptionContext[] = [];
  let broken = true;
  const retry = { attempts: 3, baseMs: 1, jitter: "none" } as const;
  const { millrace } = engine;
  await millrace.subscribe({ group: "mail", events: ["run.completed"], retry }, (event, ctx) => {
    if (!broken) return handled.add(event);
    seen.push(ctx);
    failed.add(event);
    throw new Error("The mail server is away.");
  });
  await engine.worker();
  const { id } = await engine.run(other, 1);
  await failed.until(3);
  expect(seen.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  expect(new Set(seen.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  await expect.poll(async () => (await millrace.subscriptions.get("mail")).deadLetters).toBe(1);
  const { data } = await millrace.subscriptions.deadLetters("mail");
  expect(data).toMatchObject([
    { attempts: 3, error: { message: "The mail server is away." }, event: { run: id, type: "run.completed" } },
  ]);

  broken = false;
  expect(await millrace.subscriptions.replay("mail", data[0]!.id)).toBe(1);
  await handled.until(1);
  expect(handled.events).toEqual([failed.events[0]]);
  await expect(millrace.subscriptions.replay("mail", data[0]!.id)).rejects.toMatchObject({ code: "not_found" });
  expect(await millrace.subscriptions.replay("mail")).toBe(0);
});

test("a fatal error is a dead letter at once; one group's failures are not another's", async () => {
  await using engine = await engineUnderTest([other]);
  const [calls, fine] = [new Inbox(), new Inbox()];
  const events = ["run.completed"] as const;
  const { millrace } = engine;
  await millrace.subscribe({ group: "fatal", events }, (event) => {
    calls.add(event);
    throw new FatalError("never");
  });
  await millrace.subscribe({ group: "fine", events }, (event) => fine.add(event));
  await engine.worker();
  await engine.run(other, 1);
  await fine.until(1);
  await expect.poll(async () => (await millrace.subscriptions.get("fatal")).deadLetters).toBe(1);
  expect(calls.events).toHaveLength(1);
  expect(await millrace.subscriptions.get("fine")).toMatchObject({ deadLetters: 0, waiting: 0, retrying: 0 });
  expect(await millrace.subscriptions.discard("fatal")).toBe(1);
  expect((await millrace.subscriptions.deadLetters("fatal")).data).toEqual([]);
});

test("a handler that takes too long is aborted and tried again", async () => {
  await using engine = await engineUnderTest([other]);
  const inbox = new Inbox();
  const aborted: unknown[] = [];
  const retry = { baseMs: 1, jitter: "none" } as const;
  await engine.millrace.subscribe({ group: "slow", events: ["run.queued"], timeoutMs: 50, retry }, (event, ctx) => {
    inbox.add(event);
    if (ctx.attempt > 1) return undefined;
    ctx.signal.addEventListener("abort", () => aborted.push(ctx.signal.reason.code));
    return new Promise(() => {});
  });
  await engine.millrace.runs.start(other, 1);
  await inbox.until(2);
  expect(aborted).toEqual(["handler_timeout"]);
});

test("what a consumer that died had in hand is another's", async () => {
  await using engine = await engineUnderTest([other], { partitions: 1 });
  const { millrace } = engine;
  await millrace.subscriptions.create({ group: "crash", events: ["run.queued"] });
  const { id } = await millrace.runs.start(other, 1);
  const stream = new NamespaceKeys(engine.namespace).partition(0).subscription("crash");
  await rawRedis().call("XREADGROUP", "GROUP", "workers", "dead", "STREAMS", stream, ">");
  const inbox = new Inbox();
  const attempts: number[] = [];
  await millrace.subscribe({ group: "crash", events: ["run.queued"], leaseMs: 200 }, (event, ctx) => {
    attempts.push(ctx.attempt);
    inbox.add(event);
  });
  await inbox.until(1);
  expect(inbox.events).toMatchObject([{ run: id, type: "run.queued" }]);
  expect(attempts).toEqual([2]);
});

test("a consumer that stops gives back what it could not finish, uncharged", async () => {
  await using engine = await engineUnderTest([other]);
  const { millrace } = engine;
  const [first, second] = [new Inbox(), new Inbox()];
  const options = { group: "drain", events: ["run.queued"] as const, drainMs: 0 };
  const consumer = await millrace.subscribe(options, (event) => {
    first.add(event);
    return new Promise(() => {});
  });
  await millrace.runs.start(other, 1);
  await first.until(1);
  await consumer.stop();
  await consumer.stop();
  expect(await millrace.subscriptions.get("drain")).toMatchObject({ waiting: 1, inHand: 0, consumers: 0 });
  const attempts: number[] = [];
  await millrace.subscribe(options, (event, { attempt }) => {
    attempts.push(attempt);
    second.add(event);
  });
  await second.until(1);
  expect(attempts).toEqual([1]);
});
