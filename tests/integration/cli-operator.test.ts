import * as v from "valibot";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { FatalError, workflow } from "../../engine/index.ts";
import { expenseApproval } from "../../workflows/examples/expense-approval.ts";
import { type EngineUnderTest, engineUnderTest } from "../support/engine-under-test.ts";
import { startFile } from "../support/process.ts";
import { adding } from "../support/programs/definitions.ts";
import { redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";

const brittle = workflow("brittle", { input: v.object({ n: v.number() }) })
  .step("double", ({ n }) => n * 2)
  .step("check", (n) => {
    if (n < 100) throw new FatalError(`${n} is\ntoo small`, { code: "small" });
    return n;
  });

const asked = workflow("asked", { input: v.null() })
  .step("book", { run: () => "booked", undo: () => undefined })
  .waitFor("answer", { schema: v.nullable(v.string()) });

let bench: EngineUnderTest;
let env: Record<string, string>;
beforeAll(async () => {
  const blobs = await temporaryDir();
  bench = await engineUnderTest([adding, asked, brittle, expenseApproval], { blobs: new FsBlobStore(blobs) });
  env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: bench.namespace, MILLRACE_BLOBS: blobs, LOG_LEVEL: "error" };
  await bench.worker();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function millrace(...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const command = startFile("node", "cli/main.ts", { args, env });
  const { code } = await command.exited;
  return {
    code,
    lines: command
      .output()
      .trimEnd()
      .split("\n")
      .map((line) => line.trimEnd()),
  };
}

test("dead letters are listed, shown, replayed with another input and dropped", async () => {
  const run = await bench.run(brittle, { n: 4 });
  const [letter] = (await bench.millrace.deadLetters.list()).data;
  const listed = await millrace("dead-letters", "list", "--error-code", "small", "--step", "check");
  expect(listed).toEqual({
    code: 0,
    lines: [`${letter!.id}\t${letter!.at}\tbrittle@1:check\t1\tFatalError: 8 is too small`],
  });
  const shown = await millrace("dead-letters", "show", letter!.id);
  expect(JSON.parse(shown.lines.join("\n"))).toEqual(await bench.millrace.deadLetters.get(letter!.id));
  expect(await millrace("dead-letters", "replay", letter!.id, "--input", "200")).toEqual({
    code: 0,
    lines: [`run ${run.id} goes on at check`],
  });
  await bench.events(run.id, run.seq);
  expect(await bench.millrace.runs.get(run.id)).toMatchObject({ status: "completed", output: 200 });

  await bench.run(brittle, { n: 5 });
  await bench.run(brittle, { n: 6 });
  expect(await millrace("dead-letters", "replay", "--workflow", "brittle", "--limit", "1")).toEqual({
    code: 0,
    lines: ["replayed 1 of 1 that fit"],
  });
  expect((await millrace("dead-letters", "discard", "--all")).lines).toEqual([
    expect.stringMatching(/^dropped [12] of [12] that fit$/),
  ]);
});

test("runs are run again and deleted", async () => {
  const run = await bench.run(brittle, { n: 60 });
  const { code, lines } = await millrace("runs", "rerun", run.id, "--from", "check", "--input", "300");
  expect([code, lines.length]).toEqual([0, 1]);
  expect(await bench.ended(lines[0]!)).toMatchObject({ output: 300, metadata: { rerunOf: run.id } });
  const module = ["--workflows", "tests/support/programs/brittle-2.ts"];
  const newest = await millrace("runs", "rerun", run.id, "--from", "check", "--newest", ...module);
  expect(await bench.millrace.runs.get(newest.lines[0]!)).toMatchObject({ version: 2, metadata: { rerunOf: run.id } });
  expect(await millrace("runs", "delete", run.id, lines[0]!)).toEqual({
    code: 0,
    lines: [`deleted ${run.id}`, `deleted ${lines[0]}`],
  });
  await expect(bench.millrace.runs.get(run.id)).rejects.toMatchObject({ code: "not_found" });
});

test("a run is started once for its key, and shown", async () => {
  const modules = ["--workflows", "tests/support/programs/definitions.ts"];
  const start = ["runs", "start", "adding", ...modules, "--idempotency-key", "a b", "--input"];
  const { code, lines } = await millrace(...start, '{"n": 1}');
  expect([code, lines.length]).toEqual([0, 1]);
  expect(await millrace(...start, '{"n":1}')).toEqual({ code: 0, lines });
  expect((await millrace(...start, '{"n": 2}')).code).toBe(1);
  const view = await bench.ended(lines[0]!);
  expect(view).toMatchObject({ status: "completed", input: { n: 1 } });
  const shown = await millrace("runs", "show", view.id);
  expect(JSON.parse(shown.lines.join("\n"))).toEqual(view);
});

test("a run is given its signal, once for a key", async () => {
  const { id } = await bench.millrace.runs.start(asked, null);
  const signal = (data: string, key: string) => millrace("runs", "signal", id, "answer", "--data", data, "--key", key);
  const sent = { code: 0, lines: [`signal answer sent to run ${id}`] };
  expect(await signal('"yes"', "k1")).toEqual(sent);
  expect(await signal('"yes"', "k1")).toEqual(sent);
  expect((await bench.ended(id)).output).toBe("yes");
  expect(await signal('"no"', "k2")).toMatchObject({ code: 1 });

  const modules = ["--workflows", "workflows/examples/expense-approval.ts"];
  const expense = await bench.millrace.runs.start(expenseApproval, { cents: 400 });
  const refused = await millrace("runs", "signal", expense.id, "decision", "--data", "1", ...modules);
  expect(refused).toMatchObject({
    code: 2,
    lines: [expect.stringMatching(/does not fit its schema/), expect.anything()],
  });

  const bare = await bench.millrace.runs.start(asked, null);
  expect(await millrace("runs", "signal", bare.id, "answer")).toMatchObject({ code: 0 });
  expect((await bench.ended(bare.id)).output).toBeNull();
});

test("runs are listed by workflow, status and tag, a page at a time, and cancelled", async () => {
  const tags = ["team:ops", "nightly"];
  const ids: string[] = [];
  for (const _ of [1, 2]) ids.push((await bench.millrace.runs.start(asked, null, { tags })).id);
  for (const id of ids) await bench.until(id, ({ type }) => type === "run.waiting");
  const filter = ["runs", "list", "--workflow", "asked", "--status", "waiting", "--tag", "nightly", "--limit", "1"];
  const line = async (id: string) => {
    const { createdAt } = await bench.millrace.runs.summary(id);
    return `${id}\t${createdAt}\tasked@1\twaiting\tteam:ops,nightly`;
  };
  const { lines } = await millrace(...filter);
  expect(lines).toEqual([await line(ids[1]!), expect.stringMatching(/^more: --cursor \S+$/)]);
  expect((await millrace(...filter, "--cursor", lines[1]!.split(" ").at(-1)!)).lines).toEqual([await line(ids[0]!)]);

  expect(await millrace("runs", "cancel", ...ids)).toEqual({
    code: 0,
    lines: ids.map((id) => expect.stringMatching(new RegExp(`^${id}\t(undoing|cancelled)$`))),
  });
  for (const id of ids) expect(await bench.ended(id)).toMatchObject({ status: "cancelled" });
  const died = await bench.run(brittle, { n: 4 });
  expect((await millrace("runs", "list", "--status", "failed", "--limit", "1")).lines[0]).toBe(
    `${died.id}\t${died.createdAt}\tbrittle@1\tfailed\t\tFatalError: 8 is too small`,
  );
  expect(await millrace("runs", "cancel", died.id)).toMatchObject({ code: 1 });
});

test.each<[string[], number, RegExp]>([
  [["runs", "list", "--status", "done"], 2, /Allowed choices are queued, running, .*cancelled/],
  [["runs", "list", "--cursor", "?"], 2, /cursor/],
  [["runs", "show", "none"], 3, /There is no run "none"/],
  [["runs", "start", "adding"], 2, /required option '--input <json>'/],
  [["runs", "start", "none", "--input", "1"], 3, /There is no workflow "none"/],
  [["runs", "start", "inference", "--input", "{}"], 2, /prompt/],
  [["runs", "start", "inference", "--input", "1", "--idempotency-key", ""], 2, /--idempotency-key takes 1 to 255/],
  [["runs", "cancel", "none"], 3, /There is no run "none"/],
  [["runs", "signal", "none", "answer", "--data", "{"], 2, /--data takes JSON/],
  [["runs", "signal", "none", "answer", "--key", "a b"], 2, /The key of the signal is not one/],
  [["runs", "delete", "none"], 3, /^millrace: There is no run "none"\.$/],
  [["runs", "rerun", "none"], 2, /required option '--from <step>'/],
  [["runs", "rerun", "none", "--from", "a", "--input", "{"], 2, /--input takes JSON/],
  [["dead-letters", "show", "none"], 3, /There is no dead letter "none"/],
  [["dead-letters", "replay"], 2, /Give dead-letters replay ids, or say by its options which fit, or --all/],
  [["dead-letters", "discard", "a", "--all"], 2, /not both/],
  [["dead-letters", "replay", "--all", "--input", "1"], 2, /--input goes with one id/],
  [["dead-letters", "list", "--before", "soon"], 2, /--before takes a time such as/],
  [["dead-letters", "list", "--limit", "0"], 2, /--limit .* takes a whole number from 1 to 100/],
])("millrace %j ends with exit code %d", async (args, code, message) => {
  const ended = await millrace(...args);
  expect(ended.code).toBe(code);
  expect(ended.lines.join("\n")).toMatch(message);
  expect(ended.lines.join("\n")).not.toMatch(/^\s+at /m);
});
