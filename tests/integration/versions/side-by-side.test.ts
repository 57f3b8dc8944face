import { any } from "valibot";
import { expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

const input = any();
const one = workflow("doc", { version: 1, input })
  .step("read", () => "read by 1")
  .waitFor("approve", { schema: any() })
  .step("file", () => "filed by 1");
const two = workflow("doc", { version: 2, input })
  .step("read", () => "read by 2")
  .waitFor("approve", { schema: any() })
  .step("check", () => "checked")
  .step("file", () => "filed by 2");

test("runs end on the version that they started with, by old and new workers side by side", async () => {
  await using old = await engineUnderTest([one]);
  await old.worker();
  const first = await old.millrace.runs.start("doc", null);
  await old.until(first.id, ({ type }) => type === "run.waiting");

  await using during = await engineUnderTest([one, two], { namespace: old.namespace });
  await during.worker();
  const second = await during.millrace.runs.start("doc", null);
  const late = await old.millrace.runs.start("doc", null);
  expect([first.version, second.version, late.version]).toEqual([1, 2, 1]);
  for (const { id } of [first, second, late]) await during.millrace.runs.signal(id, "approve");

  expect(await during.ended(first.id)).toMatchObject({ version: 1, output: "filed by 1" });
  expect(await old.ended(late.id)).toMatchObject({ version: 1, output: "filed by 1" });
  expect(await during.ended(second.id)).toMatchObject({ version: 2, output: "filed by 2" });
});

test("starts by old and new processes in turn are debounced to one run of each version", async () => {
  await using old = await engineUnderTest([one]);
  await using during = await engineUnderTest([one, two], { namespace: old.namespace });
  const dedupe = { key: "k", mode: "debounce", windowMs: 60_000 } as const;
  const starts = [];
  for (const input of [1, 2, 3])
    for (const { millrace } of [old, during]) starts.push(await millrace.runs.start("doc", input, { dedupe }));
  const [first, second] = starts;
  expect(starts.map(({ id }) => id)).toEqual([0, 1, 2].flatMap(() => [first!.id, second!.id]));
  expect(starts.map(({ created }) => created)).toEqual([true, true, false, false, false, false]);
  for (const [i, { id }] of [first!, second!].entries())
    expect(await old.millrace.runs.get(id)).toMatchObject({ version: i + 1, input: 3 });
  // The others are as well one run whichever version comes first.
  const simple = { dedupe: { key: "k", mode: "simple" } } as const;
  const { id } = await old.millrace.runs.start("doc", null, simple);
  expect(await during.millrace.runs.start("doc", null, simple)).toMatchObject({ id, version: 1, created: false });
});

test("a process that knows the new version alone shows, signals and cancels runs of the old one", async () => {
  await using old = await engineUnderTest([one]);
  const worker = await old.worker();
  const { id } = await old.millrace.runs.start("doc", null);
  const other = await old.millrace.runs.start("doc", null);
  for (const run of [id, other.id]) await old.until(run, ({ type }) => type === "run.waiting");
  await worker.stop();

  await using after = await engineUnderTest([two], { namespace: old.namespace });
  await after.worker();
  const { steps } = await after.millrace.runs.get(id);
  expect(Object.keys(steps)).toEqual(["read", "approve", "file"]);
  expect(steps).toMatchObject({ read: { output: "read by 1" }, approve: { waitingFor: { reason: "signal" } } });
  await after.millrace.runs.signal(id, "approve");
  expect(await after.millrace.runs.get(id)).toMatchObject({ steps: { approve: { status: "queued" } } });
  await after.millrace.runs.cancel(other.id);
  expect(await after.ended(other.id)).toMatchObject({ status: "cancelled" });
});

test("steps that changed without a new version are refused, by name", async () => {
  await using old = await engineUnderTest([one]);
  const changed = workflow("doc", { version: 1, input })
    .step("read", () => "read")
    .step("check", () => "checked")
    .step("file", () => "filed");
  await expect(engineUnderTest([changed], { namespace: old.namespace })).rejects.toMatchObject({
    code: "graph_changed",
    message:
      "The steps of workflow doc are not those that version 1 was stored with: " +
      'step "check" is new; step "file" comes after "check", and came after "approve"; step "approve" is gone. ' +
      "Raise its version: runs of version 1 end on the steps that it was stored with.",
  });
});
