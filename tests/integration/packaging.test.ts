import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { madePdf } from "../support/analysis.ts";
import { type InstalledPackage, installPackage } from "../support/installed-package.ts";
import { block, readMarkdown } from "../support/markdown.ts";
import { type Ended, missing, RUNTIMES, type Runtime, type StartedProcess, startProgram } from "../support/process.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { runtimePaths } from "../support/runtime-path.ts";

// Compilers and package managers have their own pace.
vi.setConfig({ testTimeout: 90_000 });

const ENDED: Ended = { code: 0, signal: null };
const PAPER = "BT /F1 12 Tf 50 700 Td (The bridge was built on 3 May 1894.) Tj ET";
const ANALYSE = `
import { readFile } from "node:fs/promises";
import { connect, createWorker, readBlob } from "millrace";
import { FsBlobStore } from "millrace/blobs/fs";
import { documentAnalysis } from "millrace/workflows";

const [, , namespace] = process.argv;
const blobs = new FsBlobStore("blobs");
const millrace = await connect({ url: process.env.REDIS_URL, namespace, workflows: [documentAnalysis], blobs });
const worker = createWorker(millrace);
await worker.start();
const pdf = [await readFile("paper.pdf")];
const source = { tenant: "default", name: "paper.pdf", type: "application/pdf" };
const { id, name, type, size, sha256 } = await blobs.put(source, pdf);
const run = await millrace.runs.start(documentAnalysis, { document: { id, name, type, size, sha256 } });
for await (const _ of millrace.watch(run.id));
const { status, output } = await millrace.runs.get(run.id);
console.log(status, output.pageCount, output.dates[0].date);
await worker.stop();
await millrace.close();
`;
const GATEWAY = `
import { connect } from "millrace";
import { createApp, keyDoor } from "millrace/gateway";

const [, , namespace] = process.argv;
const millrace = await connect({ url: process.env.REDIS_URL, namespace, workflows: [] });
const upgradeWebSocket = () => (c) => c.text("No sockets here.", 426);
const app = createApp({ millrace, door: keyDoor(millrace.access), upgradeWebSocket });
console.log((await app.request("/livez")).status, (await app.request("/v1/runs")).status, (await app.request("/")).status);
await millrace.close();
`;

let installed: InstalledPackage;
let redis: PrivateRedis;
beforeAll(async () => {
  redis = await startPrivateRedis({
    dir: `${await temporaryDir()}/redis`,
    appendOnly: false,
    home: `${ROOT}.millrace`,
  });
  installed = await installPackage();
  const { dir } = installed;
  await writeFile(`${dir}/first.ts`, block(await readMarkdown("README.md"), "ts first.ts"));
  await writeFile(`${dir}/analyse.mjs`, ANALYSE);
  await writeFile(`${dir}/gateway.mjs`, GATEWAY);
  await writeFile(`${dir}/paper.pdf`, madePdf(PAPER));
}, 180_000);
afterAll(async () => {
  await redis?.stop();
  await installed?.remove();
});

/** A program of a project, with a runtime that is the first on the PATH. */
function start(runtime: Runtime, program: string, args: readonly string[], cwd: string): StartedProcess {
  const PATH = `${dirname(runtimePaths[runtime]!)}:${process.env.PATH}`;
  // In a group of its own: npm and the like start others, that are ended with it.
  return startProgram(program, args, { cwd, env: { PATH, REDIS_URL: redis.url, PORT: "0" }, detached: true });
}

/** A file of the project that has installed the package. */
function run(runtime: Runtime, file: string, ...args: string[]): StartedProcess {
  const flags = runtime === "deno" ? ["run", "--quiet", "--allow-all"] : [];
  return start(runtime, runtimePaths[runtime]!, [...flags, file, ...args], installed.dir);
}

/** What stands in the checkout's `node_modules`, on the installed package. */
function tool(path: string, ...args: string[]): StartedProcess {
  return startProgram(process.execPath, [`${ROOT}node_modules/${path}`, ...args], { cwd: installed.dir });
}

/** @returns where the project is that `millrace init` has made */
async function initProject(runtime: Runtime, name: string): Promise<string> {
  const init = run(runtime, "node_modules/millrace/cli/main.js", "init", name, "--runtime", runtime);
  expect([await init.exited, init.output()]).toEqual([ENDED, expect.stringContaining(`cd ${name}\n`)]);
  const dir = `${installed.dir}/${name}`;
  // In place of its first command, which would ask the registry for the package.
  await symlink(`${installed.dir}/node_modules`, `${dir}/node_modules`);
  await mkdir(`${dir}/.millrace`);
  await symlink(`${ROOT}.millrace/redis`, `${dir}/.millrace/redis`);
  return dir;
}

describe("the package", () => {
  test("has what runs and what describes it, and nothing else", async () => {
    const listed = startProgram("tar", ["-tzf", installed.tarball]);
    await listed.exited;
    const files = listed.output().trimEnd().split("\n");
    const others = files.filter((file) => !/^package\/(engine|workflows|gateway|cli)\/.+(\.d\.ts|\.js)$/.test(file));
    expect(others.sort()).toEqual(["package/LICENSE", "package/README.md", "package/package.json"]);
    expect(files.filter((file) => /(^|\/)(tests?|examples)\//.test(file))).toEqual([]);
    expect(files).toContain("package/cli/main.js");
  });

  test("asks for what the checkout asks for, and for no runtime", async () => {
    const read = async (path: string) => JSON.parse(await readFile(path, "utf8"));
    const checkout = await read(`${ROOT}package.json`);
    const manifest = await read(`${installed.dir}/node_modules/millrace/package.json`);
    for (const field of ["version", "license", "dependencies", "peerDependencies", "peerDependenciesMeta"])
      expect(manifest[field], field).toEqual(checkout[field]);
    for (const field of ["private", "scripts", "devDependencies", "optionalDependencies", "overrides"])
      expect(manifest, field).not.toHaveProperty(field);
    expect(Object.keys(manifest.exports)).toEqual(Object.keys(checkout.exports));
  });

  test.each([
    ["publint", "publint/src/cli.js", ["run", "--strict"]],
    ["attw", "@arethetypeswrong/cli/dist/index.js", ["--profile", "esm-only", "--no-emoji"]],
  ])("is as %s wants it", async (_, path, args) => {
    const checked = tool(path, ...args, installed.tarball);
    expect([await checked.exited, checked.output()]).toEqual([ENDED, expect.anything()]);
  });

  test("has types that a compiler takes, in every entry and in a new project", async () => {
    const { exports } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
    // Azure's packages and esbuild are not installed here.
    const entries = Object.keys(exports).filter((entry) => !/azure|build|json/.test(entry));
    const dir = await initProject("node", "typed");
    const lines = entries.map((entry, i) => `export * as e${i} from "millrace${entry.slice(1)}";`);
    await writeFile(`${dir}/entries.ts`, lines.join("\n"));
    const strict = ["--skipLibCheck", "false", "--exactOptionalPropertyTypes"];
    const checked = tool("typescript/bin/tsc", "--project", dir, ...strict);
    await checked.exited;
    const ofOthers = /^[^ ]*node_modules\/(?!millrace\/)/;
    const said = checked
      .output()
      .split("\n")
      .filter((line) => line.includes("error") && !ofOthers.test(line));
    expect(said).toEqual([]);
  });
});

const COMMANDS: Record<Runtime, { program: string; start: string[]; test: string[] }> = {
  node: { program: "npm", start: ["start"], test: ["test"] },
  bun: { program: "bun", start: ["start"], test: ["test"] },
  deno: { program: "deno", start: ["task", "start"], test: ["task", "test"] },
};

describe.each(RUNTIMES)("under %s", (runtime) => {
  describe.skipIf(missing(runtime))("the installed package", () => {
    test("runs the README's first workflow", async () => {
      const program = run(runtime, "first.ts");
      expect(await program.exited).toEqual(ENDED);
      expect(program.output()).toMatch(/^7 run\.completed\nHello Ada, your name has 3 letters\.$/m);
    });

    test("has what a gateway of one's own is made of", async () => {
      const program = run(runtime, "gateway.mjs", `gateway-${runtime}`);
      expect([await program.exited, program.output()]).toEqual([ENDED, "200 401 200\n"]);
    });

    test("reads a PDF in a process of its own", async () => {
      const program = run(runtime, "analyse.mjs", `analyse-${runtime}`);
      expect([await program.exited, program.output()]).toEqual([ENDED, "completed 1 1894-05-03\n"]);
    });

    test("makes a project that two commands start, and whose test passes", async () => {
      const dir = await initProject(runtime, `app-${runtime}`);
      const { program, ...args } = COMMANDS[runtime];
      const tests = start(runtime, program, args.test, dir);
      const project = start(runtime, program, args.start, dir);
      const url = (await project.line(/^listening on /, 20_000)).slice("listening on ".length);
      const body = JSON.stringify({ input: { name: "Ada" } });
      const headers = { "Content-Type": "application/json" };
      const asked = await fetch(`${url}/v1/workflows/greet/runs`, { method: "POST", headers, body });
      const { links } = (await asked.json()) as { links: { events: string } };
      const events = await fetch(url + links.events, { headers: { Accept: "text/event-stream" } });
      expect(await events.text()).toContain("event: run.completed");
      process.kill(-project.pid, "SIGTERM");
      await project.exited;
      const passed = expect.stringMatching(/pass 2|2 pass/);
      expect([(await tests.exited).code, tests.output()]).toEqual([0, passed]);
    });
  });
});
