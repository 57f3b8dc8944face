import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FatalError, workflow } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { startFile } from "../support/process.ts";
import { adding } from "../support/programs/definitions.ts";
import { redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";
import { noTerminal, onTerminal } from "../support/terminal.ts";

const doomed = workflow("doomed", { input: v.null() }).step("die", () => {
  throw new FatalError("\u001b[31mred", { code: "doom" });
});

const ESCAPE = "\u001b";

let bench: EngineUnderTest;
let env: Record<string, string | undefined>;
beforeAll(async () => {
  bench = await engineUnderTest([adding, doomed]);
  env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: bench.namespace, MILLRACE_BLOBS: await temporaryDir() };
  await bench.worker();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function millrace(line: string, more: Record<string, string | undefined> = {}) {
  const command = startFile("node", "cli/main.ts", { args: line.split(" "), env: { ...env, ...more } });
  const { code } = await command.exited;
  return { code, output: command.output() };
}

/** What a command prints with `--json`: a document. */
async function json(line: string): Promise<Record<string, unknown>> {
  const { code, output } = await millrace(`${line} --json`);
  expect([line, code]).toEqual([line, 0]);
  return JSON.parse(output);
}

const modules = "--workflows tests/support/programs/definitions.ts";

test("what shows something prints JSON if it is asked to", async () => {
  const run = await bench.run(adding, { n: 1 });
  const died = await bench.run(doomed, null);
  const letter = (await bench.millrace.deadLetters.list()).data[0]!;
  await bench.millrace.subscriptions.create({ group: "mail" });
  const lists = ["runs list", "dead-letters list", "versions list", "queues", "keys list", "subscriptions list"];
  const [runs, letters, versions, queues, keys, subscriptions] = await Promise.all(lists.map(json));
  expect((runs!.data as { id: string }[]).map(({ id }) => id).sort()).toEqual([run.id, died.id].sort());
  expect(letters!.data).toEqual([letter]);
  expect(versions!.data).toMatchObject([{ workflow: "adding" }, { workflow: "doomed" }]);
  expect(queues!.data).toMatchObject([{ step: "one" }, { step: "two" }, { step: "die", dead: 1 }]);
  expect([keys!.data, subscriptions!.data]).toEqual([[], [expect.objectContaining({ group: "mail" })]]);

  expect(await json(`runs show ${run.id}`)).toEqual(await bench.millrace.runs.get(run.id));
}, 60_000);

test("what changes something prints JSON if it is asked to", async () => {
  const run = await bench.run(adding, { n: 1 });
  await bench.run(doomed, null);
  const letter = (await bench.millrace.deadLetters.list()).data[0]!;
  await bench.millrace.subscriptions.create({ group: "bill" });
  const [started, again, made] = await Promise.all([
    json(`runs start adding ${modules} --input {"n":1}`),
    json(`runs rerun ${run.id} --from two`),
    json(`schedules create nightly ${modules} --workflow adding --input {"n":1} --cron @daily`),
  ]);
  expect([started, again]).toMatchObject([{ workflow: "adding" }, { workflow: "adding" }]);
  expect(made).toMatchObject({ name: "nightly", cron: "@daily" });

  const changes = [
    ["pause --workflow adding", { workflow: "adding", paused: true }],
    ["config set a.b {}", { key: "a.b", value: {} }],
    ["schedules list", { data: [{ name: "nightly" }] }],
    [`dead-letters discard ${letter.id}`, { id: letter.id, discarded: true }],
    ["subscriptions delete bill", { group: "bill", deleted: true }],
    [`runs delete ${run.id}`, { id: run.id, deleted: true }],
  ] as const;
  await Promise.all(changes.map(async ([line, expected]) => expect(await json(line)).toMatchObject(expected)));
  const [paused, value] = await Promise.all([json("paused"), json("config get a.b")]);
  expect(paused.data).toMatchObject([{ workflow: "adding" }]);
  expect(value).toEqual({ key: "a.b", value: {} });
}, 60_000);

test("lists have no escape codes for programs, and colours for those who ask for them", async () => {
  const died = await bench.run(doomed, null);
  const list = "runs list --workflow doomed --limit 1";
  const [plain, coloured] = await Promise.all([
    millrace(list, { NO_COLOR: undefined }),
    millrace(list, { NO_COLOR: undefined, FORCE_COLOR: "1" }),
  ]);
  const line = `${died.id}\t${died.createdAt}\tdoomed@1\tfailed\t\tFatalError:  [31mred`;
  expect(plain.output.split("\n")[0]).toBe(line);
  expect(plain.output).not.toContain("\u001b");
  expect(coloured.output).toContain("\t\u001b[31mfailed\u001b[39m\t");
});

test.skipIf(noTerminal)("a terminal is shown tables in colours, and a watch of queues redraws its own", async () => {
  const list = onTerminal("queues --workflow doomed", env);
  const plain = onTerminal("queues", { ...env, NO_COLOR: "1" });
  const watch = onTerminal("queues --watch", env);
  expect((await list.exited).code).toBe(0);
  expect(list.output()).toMatch(/^.{4}workflow.{5} {2}.{4}step/s);
  expect(list.output()).toMatch(new RegExp(`doomed@1 {2,}die {2,}0 .*${ESCAPE}\\[31m\\d${ESCAPE}\\[39m`));
  await plain.exited;
  expect(plain.output()).toMatch(/^workflow +step/);
  expect(plain.output()).not.toContain("\u001b");
  // The cursor goes back up to draw it again.
  await expect.poll(() => watch.output().split("doomed@1").length, { timeout: 20_000 }).toBeGreaterThan(2);
  expect(watch.output()).toMatch(new RegExp(`${ESCAPE}\\[\\d*A`));
  await watch.stop();
});
