import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { openFleet } from "../../support/fleet.ts";
import { undoing } from "../../support/programs/fleet-workflows.ts";
import { temporaryDir } from "../../support/run.ts";

test("a worker process that is killed in the middle of an undo loses it to another, and the run is undone to its end", async () => {
  await using fleet = await openFleet();
  const file = `${await temporaryDir()}/go`;
  const first = await fleet.start("--lease-ms", "1500");
  const { id } = await fleet.millrace.runs.start(undoing, { files: ["/nowhere", file] });
  await first.line(new RegExp(`^undoing ${id}`));
  const other = await fleet.start("--lease-ms", "1500");
  first.kill("SIGKILL");
  await other.line(new RegExp(`^undoing ${id}`));
  await writeFile(file, "");
  await other.line(/^undone first/);
  const { steps, status } = await fleet.ended(id);
  expect(status).toBe("failed");
  expect(steps.second).toMatchObject({ attempt: 1, undo: { status: "completed", attempt: 2 } });
  expect(steps.first).toMatchObject({ undo: { status: "completed", attempt: 1 } });
});
