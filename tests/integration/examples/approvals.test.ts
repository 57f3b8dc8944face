import { expect, test } from "vitest";
import { claimsOne, claimsTwo, forgetVersionOne, moveClaims } from "../../../workflows/examples/approvals.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("approvals that wait are moved to the new version, which audits them; the old one is forgotten", async () => {
  await using old = await engineUnderTest([claimsOne]);
  const worker = await old.worker();
  const start = async (amount: number) => (await old.millrace.runs.start("claims", { claimant: "ann", amount })).id;
  const ids = [await start(5_000), await start(0)];
  for (const id of ids) await old.until(id, ({ type }) => type === "run.waiting");

  await using engine = await engineUnderTest([claimsOne, claimsTwo], { namespace: old.namespace });
  const during = await engine.worker();
  expect(await moveClaims(engine.millrace)).toEqual({
    moved: 1,
    cancelled: 1,
    skipped: 0,
    busy: 0,
    failed: 0,
    left: [],
  });
  expect(await forgetVersionOne(engine.millrace)).toBe(false);
  await worker.stop();
  await during.stop();

  await using after = await engineUnderTest([claimsTwo], { namespace: old.namespace });
  await after.worker();
  expect(await forgetVersionOne(after.millrace)).toBe(true);
  await after.millrace.runs.signal(ids[0]!, "approve", { by: "bob" });
  expect(await after.ended(ids[0]!)).toMatchObject({
    ...{ version: 2, output: "paid, approved by bob, audited" },
    steps: { audit: { output: { risk: "high", audited: true } } },
  });
  expect(await after.millrace.runs.get(ids[1]!)).toMatchObject({ version: 1, status: "cancelled" });
});
