import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Workflow } from "../../engine/workflow.ts";
import { block, code, readMarkdown, table } from "../support/markdown.ts";
import { startFile } from "../support/process.ts";
import { redisUrl } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { typeCheck } from "../support/type-check.ts";

const readme = await readMarkdown("README.md");

test("each shape of a workflow does what it says", async () => {
  const dir = await temporaryDir();
  await writeFile(`${dir}/shapes.ts`, block(readme, "ts shapes.ts"));
  const program = `
    import { testKit } from "millrace/testing";
    import * as shapes from "./shapes.ts";
    await using kit = await testKit(Object.values(shapes), { url: process.env.REDIS_URL });
    for (const [name, shape] of Object.entries(shapes)) {
      const run = await kit.run(shape, { n: 3 });
      console.log(name, run.status, JSON.stringify(run.output));
    }`;
  await writeFile(`${dir}/drive.ts`, program);
  const driven = startFile("node", `${dir.slice(ROOT.length)}/drive.ts`, { env: { REDIS_URL: redisUrl } });
  expect(await driven.exited).toEqual({ code: 0, signal: null });
  expect(driven.output().trimEnd().split("\n").sort()).toEqual([
    "branch completed 10",
    "child completed 24",
    "join completed 15",
    'loop completed {"n":0.75}',
    "map completed 4",
    'signal completed "no answer"',
    'sleep completed "4 days later"',
  ]);
});

test("the table of shapes has the methods of definitions, and examples that there are", () => {
  const rows = table(readme, "shape");
  const told = rows.flatMap(([, methods]) => [...methods!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
  const methods = Object.getOwnPropertyNames(Workflow.prototype).filter((name) => name !== "constructor");
  expect([...new Set(told)].sort()).toEqual([...methods, "after", "when", "retry"].sort());
  for (const row of rows) expect(existsSync(`${ROOT}${code(row[3]!)}`), row[3]).toBe(true);
});

test("the shapes have the types that they say", async () => {
  const dir = await temporaryDir();
  await writeFile(`${dir}/shapes.ts`, block(readme, "ts shapes.ts"));
  expect(await typeCheck(dir)).toEqual([{ code: 0, signal: null }, ""]);
});
