import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { workflow } from "../../engine/workflow.ts";
import { shipped } from "../../workflows/index.ts";
import { madePdf } from "../support/analysis.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { block, type Markdown, readMarkdown } from "../support/markdown.ts";
import { missing, RUNTIMES, type StartedProcess, startFile } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { typeCheck } from "../support/type-check.ts";

const execute = promisify(execFile);
const ADDRESS = "http://localhost:8787";

let readme: Markdown;
let dir: string;
beforeAll(async () => {
  readme = await readMarkdown("README.md");
  dir = await temporaryDir();
  for (const file of [
    "first.ts",
    "greet.ts",
    "flags.ts",
    "greet.test.ts",
    "nightly.ts",
    "keys.ts",
    "chat.ts",
    "follow.ts",
  ])
    await writeFile(`${dir}/${file}`, block(readme, `ts ${file}`));
});

describe("the first workflow", () => {
  let redis: PrivateRedis;
  beforeAll(async () => {
    // Of its own, since the program uses the default namespace.
    redis = await startPrivateRedis({ dir: `${dir}/redis`, appendOnly: false, home: `${ROOT}.millrace` });
  });
  afterAll(() => redis.stop());

  test("has fifteen lines", () => {
    expect(block(readme, "ts first.ts").trimEnd().split("\n").length).toBeLessThanOrEqual(15);
  });

  for (const runtime of RUNTIMES)
    test.skipIf(missing(runtime))(`runs under ${runtime}`, async () => {
      const program = startFile(runtime, `${dir.slice(ROOT.length)}/first.ts`, { env: { REDIS_URL: redis.url } });
      expect(await program.exited).toEqual({ code: 0, signal: null });
      expect(program.output().trimEnd().split("\n")).toEqual([
        "1 run.queued",
        "2 run.started",
        "3 step.started",
        "4 step.completed",
        "5 step.started",
        "6 step.completed",
        "7 run.completed",
        "Hello Ada, your name has 3 letters.",
      ]);
    });

  test("of configuration and flags hears what it sets", async () => {
    const program = startFile("node", `${dir.slice(ROOT.length)}/flags.ts`, { env: { REDIS_URL: redis.url } });
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.output()).toBe("quote.limit 250\nquote.new-prices { percent: 10 }\n");
  });

  test("of keys lets in who has one, until it is revoked", async () => {
    const env = { REDIS_URL: redis.url };
    const program = startFile("node", `${dir.slice(ROOT.length)}/keys.ts`, { env });
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.output()).toBe("acme false\nundefined\n");
    const [, args] = command("keys create", "--name ci").split(" -- ");
    const made = startFile("node", "cli/main.ts", { args: args!.split(" "), env });
    await made.line(/^mr_/);
    expect(await made.exited).toEqual({ code: 0, signal: null });
  });

  test("may be followed among all", async () => {
    const program = startFile("node", `${dir.slice(ROOT.length)}/follow.ts`, { env: { REDIS_URL: redis.url } });
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.output()).toMatch(/^Go on after [0-9a-z]+\.\S*\.$/m);
  });

  test("may be started by the clock", async () => {
    const env = { REDIS_URL: redis.url };
    const program = startFile("node", `${dir.slice(ROOT.length)}/nightly.ts`, { env });
    await program.line(/^The next tick is at \d{4}-\d\d-\d\dT0[01]:30:00\.000Z\.$/);
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });

  test("has the types that it says, and so have the others", async () => {
    expect(await typeCheck(dir)).toEqual([{ code: 0, signal: null }, ""]);
  });
});

test("the tests of the second workflow pass", async () => {
  const tests = startFile("node", `${dir.slice(ROOT.length)}/greet.test.ts`);
  expect([(await tests.exited).code, tests.output()]).toEqual([0, expect.stringMatching(/pass 2\n.*fail 0\n/)]);
});

/** Every command line of the README's shell blocks. */
function commands(): string[] {
  const shell = readme.blocks.filter(({ info }) => info === "sh").map(({ code }) => code);
  return shell.flatMap((code) => code.replaceAll("\\\n", "").trimEnd().split("\n"));
}

/** The command whose text has all of these. */
function command(...parts: string[]): string {
  const found = commands().filter((each) => parts.every((part) => each.includes(part)));
  expect(found, `commands with ${parts.join(" and ")}`).toHaveLength(1);
  return found[0]!;
}

/** What tells each curl command of the README from the others. */
const CURL = {
  upload: ["curl", "-F file"],
  watch: ["curl -N", "/v1/runs/$RUN/events"],
  show: ["curl http", "/v1/runs/$RUN"],
  prompt: ["curl", "/v1/inference"],
  start: ["curl", "/v1/workflows/greet/runs"],
  letters: ["curl", "/v1/dead-letters?"],
  replay: ["curl", "/v1/dead-letters/replay"],
  webhook: ["curl", "/v1/webhooks"],
  inbound: ["curl", "/v1/inbound-hooks"],
  signal: ["curl -X POST", "/v1/runs/$RUN/signals/answer"],
};
const noCurl = await execute("curl", ["--version"]).then(
  () => undefined,
  () => "curl is not installed",
);

/** What a command of the README prints, run as it stands but for the address. */
async function run(line: string, url: string, RUN = "", KEY = ""): Promise<string> {
  expect(line).toContain(ADDRESS);
  const env = { ...process.env, RUN, KEY, NO_PROXY: "*" };
  const { stdout } = await execute("sh", ["-c", line.replace(ADDRESS, url)], { cwd: dir, env, timeout: 20_000 });
  return stdout;
}

describe.skipIf(noCurl)("the curl commands, with the shipped workflows", () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway({ workflows: shipped });
    await writeFile(`${dir}/paper.pdf`, madePdf("BT /F1 12 Tf 50 700 Td (The bridge was built on 3 May 1894.) Tj ET"));
  });
  afterAll(() => gateway.close());

  test("analyse a document, watch it and show it", async () => {
    const accepted = JSON.parse(await run(command(...CURL.upload), gateway.url));
    expect(accepted).toMatchObject({ status: "queued", document: { name: "paper.pdf" } });
    const events = await run(command(...CURL.watch), gateway.url, accepted.id);
    expect(events).toMatch(/^id: 1-/m);
    expect(events).toContain("event: run.completed");
    const shown = JSON.parse(await run(command(...CURL.show), gateway.url, accepted.id));
    expect(shown).toMatchObject({ status: "completed", output: { pageCount: 1 } });
    for (const part of ["title", "language", "keySentences", "dates", "amounts", "pages"])
      expect(shown.output, part).toHaveProperty(part);
  });

  test("answer a prompt", async () => {
    const answer = JSON.parse(await run(command(...CURL.prompt), gateway.url));
    expect(answer).toMatchObject({ status: "completed", output: { model: "millrace-extractive-1" } });
    expect(answer.output.text).toContain("The bridge was built in 1894.");
  });

  test("and answer OpenAI's client", async () => {
    const code = block(readme, "ts chat.ts").replace("localhost:8787", `127.0.0.1:${gateway.port}`);
    await writeFile(`${dir}/chat-here.ts`, code);
    const program = startFile("node", `${dir.slice(ROOT.length)}/chat-here.ts`);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.output()).toBe("The bridge was built in 1894.\n2 vectors of 512 numbers\n");
  });
});

test.skipIf(noCurl)("the curl command for a signal sends it", async () => {
  const asking = workflow("asking", { input: v.any() }).waitFor("answer", { schema: v.string() });
  const gateway = await startGateway({ workflows: [asking] });
  const { id } = (await gateway.call("POST", "/v1/workflows/asking/runs", { input: null })).body;
  expect(JSON.parse(await run(command(...CURL.signal), gateway.url, id))).toMatchObject({ id });
  await (await fetch(`${gateway.url}/v1/runs/${id}/events`)).text();
  expect(await gateway.millrace.runs.get(id)).toMatchObject({ status: "completed", output: "yes" });
  await gateway.close();
});

describe.skipIf(noCurl)("the commands for processes of their own", () => {
  const parts: StartedProcess[] = [];
  let url: string;
  let key: string;
  const asked = (...parts: string[]) => run(command(...parts), url, "", key);
  beforeAll(async () => {
    const env = {
      REDIS_URL: redisUrl,
      MILLRACE_NAMESPACE: freshNamespace(),
      MILLRACE_BLOBS: `${dir}/blobs`,
      PORT: "0",
    };
    for (const name of ["worker", "gateway"]) {
      const [start, args] = command(`millrace -- ${name}`).split(" -- ");
      expect(start).toBe("npm run -s millrace");
      parts.push(startFile("node", "cli/main.ts", { args: args!.split(" "), cwd: dir, env }));
    }
    expect(await parts[0]!.line(/^worker /)).toMatch(/ serves greet@1:count, greet@1:greet$/);
    url = (await parts[1]!.line(/^listening on /)).slice("listening on ".length);
    const args = command("keys create", "--scopes admin").split(" -- ")[1]!.split(" ");
    const made = startFile("node", "cli/main.ts", { args, cwd: dir, env });
    key = await made.line(/^mr_/);
    await made.exited;
  });
  afterAll(() => Promise.all(parts.map((part) => part.stop())));

  test("run it, once for its key", async () => {
    const { id } = JSON.parse(await asked(...CURL.start));
    const headers = { Authorization: `Bearer ${key}` };
    const events = await (await fetch(`${url}/v1/runs/${id}/events`, { headers })).text();
    expect(events).toContain('"data":{"progress":0.5,"message":"half way"}');
    const again = JSON.parse(await asked(...CURL.start));
    expect(again).toMatchObject({ id, status: "completed" });
  });

  test("show its dead letters and replay them", async () => {
    const response = await fetch(`${url}/v1/workflows/greet/runs`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify({ input: { name: "" } }),
    });
    const { id } = (await response.json()) as { id: string };
    await (await fetch(`${url}/v1/runs/${id}/events`, { headers: { Authorization: `Bearer ${key}` } })).text();
    const listed = JSON.parse(await asked(...CURL.letters));
    expect(listed.data).toMatchObject([{ run: id, step: "greet", error: { message: "There is nobody to greet." } }]);
    const replayed = JSON.parse(await asked(...CURL.replay));
    expect(replayed).toMatchObject({ kind: "replay", status: "done", matched: 1, done: 1 });
  });
});

test("every command is one that a test runs, or a script of package.json", async () => {
  const { scripts } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
  for (const line of commands()) {
    if (line.startsWith("curl "))
      expect(
        Object.values(CURL).some((parts) => parts.every((part) => line.includes(part))),
        line,
      ).toBe(true);
    else
      for (const part of line.split(" && ")) {
        const [, script] = /^(?:\w+=\S+ )*npm (?:run (?:-s )?)?([\w-]+)/.exec(part) ?? [];
        expect([...Object.keys(scripts), "ci"], line).toContain(script);
      }
  }
  for (const [, script] of readme.text.matchAll(/`npm run ([\w-]+)`/g)) expect(Object.keys(scripts)).toContain(script);
  for (const [, path] of readme.text.matchAll(/`((?:\.ci|bin|cli|engine|gateway|workflows)\/[\w./-]*)`/g))
    expect(existsSync(`${ROOT}${path}`), path).toBe(true);
});
