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
