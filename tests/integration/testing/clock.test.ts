import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { internalsOf } from "../../../engine/connect.ts";
import { RetryAfterError, workflow } from "../../../engine/index.ts";
import { testKit } from "../../../engine/testing/index.ts";
import { kitOptions } from "../../support/kit.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Real time goes on beside what the clock is moved by: no test takes so much of it. */
const REAL_MS = 60_000;

/** Fails once for each of these delays, in ms, and then completes. */
const patient = workflow("patient", { input: v.array(v.number()) })
  .step("try", {
    retry: { attempts: 100 },
    run: (delays, { attempt }) => {
      if (attempt <= delays.length) throw new RetryAfterError("not yet", delays[attempt - 1]!);
      return attempt;
    },
  })
  .step("after", (attempt) => attempt);

const ms = (at: string | undefined) => Date.parse(at!);

function expectApart(earlier: string | undefined, later: string | undefined, apartMs: number) {
  const found = ms(later) - ms(earlier);
  expect(found).toBeGreaterThanOrEqual(apartMs);
  expect(found).toBeLessThan(apartMs + REAL_MS);
}

describe("a run under the virtual clock", () => {
  test("is tried again three hours later, at once", async () => {
    await using kit = await testKit([patient], kitOptions());
    const run = await kit.start(patient, [3 * HOUR_MS]);
    const failed = await kit.until(run, "step.retrying");
    const ended = await kit.ended(run);
    expect(ended).toMatchObject({ status: "completed", output: 2 });
    const events = await kit.events(run);
    expect(events.map(({ type, step }) => `${type} ${step ?? ""}`.trim())).toEqual([
      "run.queued",
      "run.started",
      "step.started try",
      "step.retrying try",
      "step.started try",
      "step.completed try",
      "step.started after",
      "step.completed after",
      "run.completed",
    ]);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
    expectApart(failed.at, events[4]!.at, 3 * HOUR_MS);
    expectApart(ended.createdAt, ended.endedAt, 3 * HOUR_MS);
    expectApart(ended.createdAt, (await kit.clock.now()).toISOString(), 3 * HOUR_MS);
    expect((failed.data as { retryAt: string }).retryAt <= events[4]!.at).toBe(true);
  });

  test("does not go on to when what was used is no longer shown", async () => {
    const spending = workflow("spending", { input: v.null() }).step("spend", (_, ctx) => {
      ctx.usage({ tokens: 7, key: "ann" });
    });
    await using kit = await testKit([spending], kitOptions());
    const { createdAt } = await kit.run(spending, null);
    await kit.clock.runUntilIdle();
    expectApart(createdAt, (await kit.clock.now()).toISOString(), 0);
    expect(await kit.millrace.usage({ key: "ann" })).toMatchObject({ tokens: 7 });
    await kit.clock.advance("93 days");
    expect(await kit.millrace.usage({ key: "ann" })).toMatchObject({ tokens: 0 });
  });

  test("goes no further than it is told to", async () => {
    await using kit = await testKit([patient], kitOptions());
    const run = await kit.start(patient, [3 * HOUR_MS]);
    await kit.clock.advance("179 minutes");
    expect((await kit.millrace.runs.get(run.id)).steps.try).toMatchObject({ status: "retrying", attempt: 1 });
    await kit.clock.advance("1 minute");
    expect((await kit.millrace.runs.get(run.id)).status).toBe("completed");
  });

  test("has each of its timers come due at its own time on the way", async () => {
    await using kit = await testKit([patient], kitOptions());
    const run = await kit.start(patient, [DAY_MS, 2 * DAY_MS]);
    await kit.clock.advance("3 days");
    const starts = (await kit.events(run)).filter(({ type, step }) => type === "step.started" && step === "try");
    expect(starts).toHaveLength(3);
    expectApart(starts[0]!.at, starts[1]!.at, DAY_MS);
    expectApart(starts[1]!.at, starts[2]!.at, 2 * DAY_MS);
  });

  test("keeps to its place among others", async () => {
    const order: number[] = [];
    const noted = workflow("noted", { input: v.number() }).step("note", (hours, { attempt }) => {
      if (attempt === 1) throw new RetryAfterError("later", hours * HOUR_MS);
      order.push(hours);
    });
    await using kit = await testKit([noted], kitOptions());
    for (const hours of [5, 1, 4, 2, 3]) await kit.start(noted, hours);
    await kit.clock.runUntilIdle();
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });

  test("frees an idempotency key after its day", async () => {
    await using kit = await testKit([patient], kitOptions());
    const options = { idempotency: { scope: "a", key: "b", digest: "c" } };
    const first = await kit.run(patient, [], options);
    const second = await kit.start(patient, [], options);
    expect(second).toMatchObject({ id: first.id, created: false });
    await kit.clock.advance("1 day");
    expect(await kit.start(patient, [], options)).toMatchObject({ created: true });
  });
});

describe("leases keep to real time", () => {
  test("a clock that goes forward years while a handler is at work costs it nothing", async () => {
    const held = Promise.withResolvers<void>();
    const slow = workflow("slow", { input: v.null() }).step("wait", async (_, { signal }) => {
      await held.promise;
      return signal.aborted;
    });
    await using kit = await testKit([slow, patient], kitOptions());
    const run = await kit.start(slow, null);
    await kit.until(run, "step.started");
    const other = await kit.start(patient, [DAY_MS]);
    await kit.until(other, "step.retrying");
    await kit.clock.jump("52 weeks");
    await kit.until(other, "run.completed");
    const [queue] = (await kit.millrace.queues()).filter(({ step }) => step === "wait");
    expect(queue).toMatchObject({ inFlight: 1, workers: 1 });
    expect(queue!.oldestAgeMs).toBeLessThan(REAL_MS);
    held.resolve();
    const ended = await kit.ended(run);
    expect(ended).toMatchObject({ status: "completed", output: false, steps: { wait: { attempt: 1 } } });
    expectApart(ended.createdAt, ended.endedAt, 364 * DAY_MS);
  });
});

describe("what does not come", () => {
  test("steps that do not rest are named, and so is a run that only waits", async () => {
    const held = Promise.withResolvers<void>();
    const slow = workflow("slow", { input: v.null() }).step("wait", () => held.promise);
    await using kit = await testKit([slow, patient], { ...kitOptions(), timeoutMs: 300 });
    const run = await kit.start(slow, null);
    await kit.start(slow, null);
    const refusal = { code: "not_at_rest", message: expect.stringContaining("slow@1:wait (2 times)") };
    await expect(kit.clock.advance(1)).rejects.toMatchObject(refusal);
    await expect(kit.ended(run)).rejects.toMatchObject({ code: "not_at_rest" });
    await expect(kit.until(run, "run.completed")).rejects.toMatchObject({
      code: "no_such_event",
      message: expect.stringMatching(/did not come to run.completed in 300 milliseconds: it is running, step wait is/),
    });
    held.resolve();
    await kit.ended(run);
    await expect(kit.until(run, "run.failed")).rejects.toMatchObject({
      message: expect.stringContaining("ended without run.failed"),
    });
  });

  test("a run that no timer moves on is said to wait", async () => {
    await using kit = await testKit([patient], kitOptions());
    const run = await kit.start(patient, [HOUR_MS]);
    await kit.until(run, "step.retrying");
    const { client, store } = internalsOf(kit.millrace);
    await client.call("DEL", store.allPartitions[0]!.timers());
    await expect(kit.ended(run)).rejects.toMatchObject({
      code: "run_waits",
      message: expect.stringMatching(/no timer is left: it is running, step try is retrying\.$/),
    });
  });

  test.each(["3 moons", "three days", "-1 days", -1, Number.NaN, "200 weeks 3", 1e15])("%j is refused", async (bad) => {
    await using kit = await testKit([patient], kitOptions());
    await expect(kit.clock.advance(bad as number)).rejects.toMatchObject({ code: "bad_option" });
  });
});

describe("while others are at work", () => {
  test("a run that has ended is not kept waiting", async () => {
    const held = Promise.withResolvers<void>();
    const slow = workflow("slow", { input: v.null() }).step("wait", () => held.promise);
    await using kit = await testKit([slow, patient], kitOptions());
    const run = await kit.start(slow, null);
    expect(await kit.run(patient, [])).toMatchObject({ status: "completed" });
    held.resolve();
    expect(await kit.ended(run)).toMatchObject({ status: "completed" });
  });

  test("many runs with timers of their own all come to their times", async () => {
    await using kit = await testKit([patient], kitOptions());
    const hours = Array.from({ length: 50 }, (_, i) => [(i % 7) + 1, ((i * 13) % 29) + 1]);
    const runs = await Promise.all(
      hours.map((delays) =>
        kit.start(
          patient,
          delays.map((each) => each * HOUR_MS),
        ),
      ),
    );
    await kit.clock.advance("2 days");
    for (const [i, run] of runs.entries()) {
      const view = await kit.millrace.runs.get(run.id);
      expectApart(view.createdAt, view.endedAt, (hours[i]![0]! + hours[i]![1]!) * HOUR_MS);
    }
  });
});
