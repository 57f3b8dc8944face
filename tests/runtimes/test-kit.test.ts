import { expect, test } from "vitest";
import { missing, RUNTIMES, startFile } from "../support/process.ts";
import { ROOT } from "../support/run.ts";

for (const runtime of RUNTIMES)
  test.skipIf(missing(runtime))(`the test kit runs under ${runtime}, and lets it end`, async () => {
    const program = startFile(runtime, "tests/support/programs/rehearse.ts", { args: [`${ROOT}.millrace`] });
    expect([await program.exited, program.output()]).toEqual([{ code: 0, signal: null }, "3 completed 3 1\n"]);
  });
