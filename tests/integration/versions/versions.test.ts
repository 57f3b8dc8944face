import { any } from "valibot";
import { expect, test } from "vitest";
import { internalsOf } from "../../../engine/connect.ts";
import { workflow } from "../../../engine/index.ts";
import { StrandedWatch } from "../../../engine/stranded-watch.ts";
import { liveWorkers, strandedWork } from "../../../engine/versions.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { eventually } from "../../support/gateway.ts";

const input = any();
const one = workflow("doc", { version: 1, input })
  .step("read", () => "read")
  .waitFor("approve", { schema: any() })
  .step("file", () => "filed");
const two = workflow("doc", { version: 2, input })
  .step("read", () => "read")
  .waitFor("approve", { schema: any() })
  .step("check", () => "checked")
  .step("file", () => "filed");
const other = workflow("other", { input }).step("only", () => 1);

test("each version with its steps, its workers and its live runs", async () => {
  await using old = await engineUnderTest([one]);
  const worker = await old.worker();
  const { id } = await old.millrace.runs.start("doc", null);
  await old.until(id, ({ type }) => type === "run.waiting");
  await using engine = await engineUnderTest([two, other], { namespace: old.namespace });
  const queued = await engine.millrace.runs.start("doc", null);
  await engine.worker({ steps: (_, step) => step !== "file" && step !== "read" });

  const { versions } = engine.millrace;
  // A worker is known from its first heartbeat on.
  const known = await eventually(versions, ([newest]) => newest!.workers > 0);
  expect(known).toMatchObject([
    {
      ...{ workflow: "doc", version: 2, current: true, workers: 1, unserved: ["read", "file"], more: false },
      ...{ runs: { queued: 1, running: 0, waiting: 0 }, stranded: true },
      steps: two.graph.steps,
    },
    {
      ...{ workflow: "doc", version: 1, current: false, workers: 1, unserved: [] },
      ...{ runs: { queued: 0, running: 0, waiting: 1 }, stranded: false },
    },
    { workflow: "other", version: 1, current: true, runs: { queued: 0, running: 0, waiting: 0 }, stranded: false },
  ]);
  expect(await versions({ workflow: "other" })).toHaveLength(1);
  expect((await versions({ tenant: "acme" })).map((each) => each.runs.queued)).toEqual([0, 0, 0]);

  // A signal waits without an entry: the run is stranded all the same when its worker has gone.
  await worker.stop();
  expect((await versions({ workflow: "doc" })).map((each) => [each.version, each.workers, each.stranded])).toEqual([
    [2, 1, true],
    [1, 0, true],
  ]);
  await engine.millrace.runs.cancel(id);
  await engine.millrace.runs.cancel(queued.id);
  expect((await versions()).map((each) => each.stranded)).toEqual([false, false, false]);
});

test("a step that no live worker serves says that it waits for one", async () => {
  await using engine = await engineUnderTest([one]);
  const { id } = await engine.millrace.runs.start("doc", null);
  expect((await engine.millrace.runs.get(id)).steps).toMatchObject({
    read: { status: "queued", waitingFor: { reason: "worker" } },
    approve: { status: "pending" },
  });
  const worker = await engine.worker();
  await engine.until(id, ({ type }) => type === "run.waiting");
  expect((await engine.millrace.runs.get(id)).steps).toMatchObject({ approve: { waitingFor: { reason: "signal" } } });
  await engine.millrace.runs.signal(id, "approve");
  await engine.ended(id);
  await worker.stop();
  const idle = await engine.worker({ steps: (_, step) => step === "file" });
  await eventually(engine.millrace.versions, ([version]) => version!.workers > 0);
  const next = await engine.millrace.runs.start("doc", null);
  expect((await engine.millrace.runs.get(next.id)).steps.read).toMatchObject({ waitingFor: { reason: "worker" } });
  await idle.stop();
});

test("of all live workers the first by its name warns of work that nobody serves", async () => {
  await using engine = await engineUnderTest([one, two]);
  const { store, records } = internalsOf(engine.millrace);
  await engine.millrace.runs.start("doc", null);
  await engine.worker({ steps: (_, step) => step === "check" });
  const workers = async () => (await liveWorkers(store, records)).map(({ consumer }) => consumer);
  const [id] = await eventually(workers, (found) => found.length > 0);
  const watch = (consumer: string) =>
    new StrandedWatch({ consumer, workers, queues: () => engine.millrace.queues() }).runOnce();
  expect(await watch(id!)).toEqual([{ workflow: "doc", version: 2, steps: ["read"], entries: 1 }]);
  expect(await watch("~after")).toEqual([]);
});

test("work is stranded where something waits and nobody serves it", () => {
  const queue = (version: number, step: string, more: object) => ({
    ...{
      workflow: "w",
      version,
      step,
      depth: 0,
      inFlight: 0,
      delayed: 0,
      limited: 0,
      dead: 3,
      oldestAgeMs: 0,
      workers: 0,
    },
    ...{ paused: false, ...more },
  });
  expect(
    strandedWork([
      queue(1, "a", { depth: 2 }),
      queue(1, "b", { inFlight: 1, delayed: 4 }),
      queue(1, "c", {}),
      queue(2, "a", { depth: 2, workers: 1 }),
    ]),
  ).toEqual([{ workflow: "w", version: 1, steps: ["a", "b"], entries: 7 }]);
});
