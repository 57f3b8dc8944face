import { writeFile } from "node:fs/promises";
import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { workflow } from "../../../engine/index.ts";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { block, readMarkdown } from "../../support/markdown.ts";
import { missing, RUNTIMES, startFile } from "../../support/process.ts";
import { ROOT, temporaryDir } from "../../support/run.ts";
import { typeCheck } from "../../support/type-check.ts";

/** As the README's, which has no more to do with this than its type. */
const greet = workflow("greet", { input: v.object({ name: v.string() }) })
  .step("count", ({ name }) => ({ letters: name.length }))
  .step("greet", ({ letters }) => `Your name has ${letters} letters.`);

let gateway: TestGateway;
let dir: string;
beforeAll(async () => {
  gateway = await startGateway({ workflows: [greet] });
  dir = await temporaryDir();
  const readme = await readMarkdown("README.md");
  for (const file of ["ts greet.ts", "ts client.ts", "ts page.ts", "tsx app.tsx"])
    await writeFile(
      `${dir}/${file.split(" ")[1]}`,
      block(readme, file).replace("localhost:8787", new URL(gateway.url).host),
    );
});
afterAll(() => gateway.close());

for (const runtime of RUNTIMES)
  test.skipIf(missing(runtime))(`the README's client starts a run and watches it under ${runtime}`, async () => {
    const program = startFile(runtime, `${dir.slice(ROOT.length)}/client.ts`);
    expect([await program.exited, program.output().trimEnd().split("\n")]).toEqual([
      { code: 0, signal: null },
      [
        "1 run.queued",
        "2 run.started",
        "3 step.started",
        "4 step.completed",
        "5 step.started",
        "6 step.completed",
        "7 run.completed",
        "Your name has 3 letters.",
      ],
    ]);
  });

test("the README's clients have the types that they say", async () => {
  expect(await typeCheck(dir)).toEqual([{ code: 0, signal: null }, ""]);
}, 60_000);
