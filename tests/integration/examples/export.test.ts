import { expect, test } from "vitest";
import { exportRows, stopExports } from "../../../workflows/examples/export.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";

test("the exports of an account are stopped, also the one that is at work; another account's go on", async () => {
  await using engine = await engineUnderTest([exportRows]);
  const { runs } = engine.millrace;
  const start = (account: string, pages: number) => runs.start(exportRows, { account, pages }, { tags: [account] });
  const worker = await engine.worker({ concurrency: 2 });
  const running = await start("ada", 10_000);
  await engine.until(running.id, ({ type }) => type === "step.progress");
  const other = await start("bob", 3);
  const queued = await start("ada", 10_000);
  expect((await stopExports(engine.millrace, "ada")).sort()).toEqual([queued.id, running.id].sort());
  for (const { id } of [running, queued]) expect(await engine.ended(id)).toMatchObject({ status: "cancelled" });
  expect(await engine.ended(other.id)).toMatchObject({ status: "completed", output: { account: "bob", pages: 3 } });
  // The handler has heard of it: stopping does not wait for hours of pages.
  await worker.stop();
});
