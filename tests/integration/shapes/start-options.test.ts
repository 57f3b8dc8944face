import * as v from "valibot";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AnyWorkflow, type StartOptions, workflow } from "../../../engine/index.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { type EngineUnderTest, engineUnderTest } from "../../support/engine-under-test.ts";
import { Gates } from "../../support/gates.ts";
import { eventually } from "../../support/gateway.ts";
import { rawRedis } from "../../support/redis.ts";

const DAY_MS = 86_400_000;
const input = v.any();
let gates: Gates;
let aborted: number;

const fan = workflow("fan", { input })
  .step("left", { after: [], run: () => 1 })
  .step("right", { after: [], run: () => 2 })
  .step("join", { after: ["left", "right"], run: ({ left, right }) => left + right });
const asleep = workflow("asleep", { input }).sleep("rest", DAY_MS);
const asked = workflow("asked", { input }).waitFor("answer", { schema: v.any() });
const patient = workflow("patient", { input, deadlineMs: DAY_MS }).sleep("rest", DAY_MS);
const parent = workflow("parent", { input }).child("inner", { workflow: patient, input: () => null });
const grand = workflow("grand", { input }).child("inner", { workflow: parent, input: () => null });
const parents = workflow("parents", { input }).map("inner", {
  over: () => [1, 2],
  workflow: patient,
  input: () => null,
});
/** Of its items one waits to be tried again, and the others that have begun are at work. */
const mapped = workflow("mapped", { input }).map("item", {
  over: () => [0, 1, 2, 3, 4],
  limit: 3,
  retry: { baseMs: DAY_MS, maxMs: DAY_MS, jitter: "none" },
  run: async (n, { signal }) => {
    if (n === 0) throw new Error("not yet");
    await gates.pass("never", signal).finally(() => {
      aborted += 1;
    });
  },
});
const turning = workflow("turning", { input }).repeat("turn", {
  ...{ max: 2, until: () => true },
  run: (_, { signal }) => gates.pass("never", signal),
});

let engine: EngineUnderTest;
beforeEach(async () => {
  [gates, aborted] = [new Gates(), 0];
  engine = await engineUnderTest([fan, asleep, asked, grand, parents, mapped, turning], { partitions: 1 });
  await engine.worker();
});
afterEach(() => engine[Symbol.asyncDispose]());

const get = (id: string) => engine.millrace.runs.get(id);
const start = async (which: AnyWorkflow, options: StartOptions) =>
  (await engine.millrace.runs.start(which, null, options)).id;
const rows = () => rawRedis().zrange(new NamespaceKeys(engine.namespace).partition(0).timers(), "0", "-1");
/** Has rows come due: the time is not waited for. */
async function comeDue(begin: string) {
  for (const row of await rows())
    if (row.startsWith(begin)) await rawRedis().zadd(new NamespaceKeys(engine.namespace).partition(0).timers(), 1, row);
}
/** What is left of runs that have ended, beside their records. */
async function left() {
  const queues = await engine.millrace.queues();
  const busy = queues.filter(({ depth, inFlight, delayed }) => depth + inFlight + delayed !== 0);
  return [...(await rows()), ...busy];
}
const ids = async (name: string) => (await engine.millrace.runs.list({ workflow: name })).data.map(({ id }) => id);
const late = { status: "failed", error: { code: "run_deadline" } };

test("steps that nothing comes before start together later, and what comes after both once", async () => {
  const id = await start(fan, { delayMs: DAY_MS });
  const { status, startsAt, steps } = await get(id);
  const waiting = { status: "waiting", attempt: 0, waitingFor: { reason: "delay", until: startsAt } };
  expect({ status, steps }).toEqual({
    status: "queued",
    steps: { left: waiting, right: waiting, join: { status: "pending", attempt: 0 } },
  });
  await comeDue(`wake|delay|default|${id}|`);
  expect(await engine.ended(id)).toMatchObject({ status: "completed", output: 3 });
  const types = (await engine.events(id)).map((event) => event.type);
  expect(types.filter((type) => type.startsWith("run."))).toEqual(["run.queued", "run.started", "run.completed"]);
  expect(await left()).toEqual([]);
});

describe("a deadline ends a run, and nothing of it is left in timers and streams, where it", () => {
  test.each([
    ["sleeps", asleep, "rest"],
    ["waits for a signal", asked, "answer"],
  ])("%s", async (_, which, step) => {
    const id = await start(which, { deadlineMs: 2 * DAY_MS });
    await engine.until(id, ({ type }) => type === "run.waiting");
    await comeDue(`expire|${id}`);
    expect(await engine.ended(id)).toMatchObject({ ...late, steps: { [step]: { status: "cancelled" } } });
    expect((await engine.millrace.runs.list({ status: "waiting" })).data).toEqual([]);
    expect(await eventually(left, (found) => found.length === 0)).toEqual([]);
  });

  test("waits for a child, which is cancelled, and its child too", async () => {
    const id = await start(grand, { deadlineMs: 2 * DAY_MS });
    await engine.until(id, ({ type }) => type === "run.waiting");
    const child = (await get(id)).steps.inner!.waitingFor!.run!;
    await engine.until(child, ({ type }) => type === "run.waiting");
    const grandchild = (await get(child)).steps.inner!.waitingFor!.run!;
    await engine.until(grandchild, ({ type }) => type === "run.waiting");
    await comeDue(`expire|${id}`);
    expect(await engine.ended(id)).toMatchObject(late);
    expect(await engine.ended(child)).toMatchObject({ status: "cancelled" });
    expect(await engine.ended(grandchild)).toMatchObject({ status: "cancelled" });
    expect(await eventually(left, (found) => found.length === 0)).toEqual([]);
  });

  test("waits for many children", async () => {
    const id = await start(parents, { deadlineMs: 2 * DAY_MS });
    const children = await eventually(
      () => ids("patient"),
      (found) => found.length === 2,
    );
    for (const child of children) await engine.until(child, ({ type }) => type === "run.waiting");
    await comeDue(`expire|${id}`);
    expect(await engine.ended(id)).toMatchObject(late);
    for (const child of children) expect(await engine.ended(child)).toMatchObject({ status: "cancelled" });
    expect(await eventually(left, (found) => found.length === 0)).toEqual([]);
  });

  test("has a map under way, whose handlers see their signal abort", async () => {
    const id = await start(mapped, { deadlineMs: DAY_MS });
    await engine.until(id, ({ type }) => type === "step.retrying");
    const items = async () => (await engine.millrace.runs.items(id, "item")).data.map(({ status }) => status);
    await eventually(items, (found) => found.filter((status) => status === "running").length === 2);
    await comeDue(`expire|${id}`);
    expect(await engine.ended(id)).toMatchObject({ ...late, steps: { item: { status: "cancelled" } } });
    expect(await items()).toEqual(["cancelled", "cancelled", "cancelled", "pending", "pending"]);
    await eventually(
      async () => aborted,
      (count) => count === 2,
    );
    expect(await eventually(left, (found) => found.length === 0)).toEqual([]);
  });

  test("takes a turn of a loop", async () => {
    const id = await start(turning, { deadlineMs: DAY_MS });
    await engine.until(id, ({ type }) => type === "step.started");
    await comeDue(`expire|${id}`);
    expect(await engine.ended(id)).toMatchObject(late);
    expect(await eventually(left, (found) => found.length === 0)).toEqual([]);
  });

  test("has not started yet", async () => {
    const id = await start(fan, { delayMs: DAY_MS, ttlMs: 1_000, deadlineMs: DAY_MS });
    await comeDue(`expire|${id}|fan|1|ttl`);
    expect(await engine.ended(id)).toMatchObject({ status: "failed", error: { code: "expired" } });
    expect(await eventually(left, (found) => found.length === 0)).toEqual([]);
  });
});

test("a child is held to its workflow's deadline: past that it fails, and so does its parent", async () => {
  const id = await start(parent, {});
  await engine.until(id, ({ type }) => type === "run.waiting");
  const child = (await get(id)).steps.inner!.waitingFor!.run!;
  await engine.until(child, ({ type }) => type === "run.waiting");
  const { createdAt, deadlineAt } = await get(child);
  expect(Date.parse(deadlineAt!) - Date.parse(createdAt)).toBe(DAY_MS);
  await comeDue(`expire|${child}`);
  expect(await engine.ended(child)).toMatchObject(late);
  const error = { code: "child_failed", cause: { code: "run_deadline" } };
  expect(await engine.ended(id)).toMatchObject({ status: "failed", error });
});
