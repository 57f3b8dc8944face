import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { madePdf } from "../support/analysis.ts";
import { type InstalledPackage, installPackage } from "../support/installed-package.ts";
import { block, readMarkdown } from "../support/markdown.ts";
import { type Ended, missing, RUNTIMES, type Runtime, startProgram } from "../support/process.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { runtimePaths } from "../support/runtime-path.ts";

const ENDED: Ended = { code: 0, signal: null };
const PAPER = "BT /F1 12 Tf 50 700 Td (The bridge was built on 3 May 1894.) Tj ET";

let installed: InstalledPackage;
let redis: PrivateRedis;
beforeAll(async () => {
  redis = await startPrivateRedis({
    dir: `${await temporaryDir()}/redis`,
    appendOnly: false,
    home: `${ROOT}.millrace`,
  });
  installed = await installPackage();
  await writeFile(`${installed.dir}/first.ts`, block(await readMarkdown("README.md"), "ts first.ts"));
}, 180_000);
afterAll(async () => {
  await redis?.stop();
  await installed?.remove();
});

/** A program of a project, by a runtime that is the first of its name on the PATH. */
function start(runtime: Runtime, args: readonly string[], cwd: string, program?: string) {
  const path = runtimePaths[runtime]!;
  const PATH = `${dirname(path)}:${process.env.PATH}`;
  // In a group of its own: npm and the like start others, that are ended with it.
  return startProgram(program ?? path, args, { cwd, env: { PATH, REDIS_URL: redis.url, PORT: "0" }, detached: true });
}

const flags = (runtime: Runtime) => (runtime === "deno" ? ["run", "--quiet", "--allow-all"] : []);

/** What stands in the checkout's `node_modules`, on the installed package. */
async function check(tool: string, ...args: string[]): Promise<void> {
  const { dir } = installed;
  const program = startProgram(process.execPath, [`${ROOT}node_modules/${tool}`, ...args], { cwd: dir });
  expect([await program.exited, program.output()]).toEqual([ENDED, expect.anything()]);
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

  test("is as publint and attw want it", async () => {
    await Promise.all([
      check("publint/src/cli.js", "run", installed.tarball, "--strict"),
      check("@arethetypeswrong/cli/dist/index.js", installed.tarball, "--profile", "esm-only", "--no-emoji"),
    ]);
  });

  test("has types that stand by themselves", async () => {
    const exports = Object.keys(JSON.parse(await readFile(`${ROOT}package.json`, "utf8")).exports);
    const entries = exports.filter((entry) => entry !== "./package.json").map((entry) => `millrace${entry.slice(1)}`);
    // Azure's packages are not installed here.
    const imported = entries.filter((entry) => !entry.endsWith("/azure"));
    const lines = imported.map((entry, i) => `export * as e${i} from "${entry}";`);
    await writeFile(`${installed.dir}/all.ts`, lines.join("\n"));
    const compilerOptions = {
      module: "nodenext",
      target: "es2023",
      lib: ["esnext", "dom", "dom.iterable"],
      strict: true,
    };
    const given = { ...compilerOptions, noEmit: true, types: [], skipLibCheck: false };
    await writeFile(`${installed.dir}/tsconfig.json`, JSON.stringify({ compilerOptions: given, files: ["all.ts"] }));
    await check("typescript/bin/tsc");
  });
});

describe.each(RUNTIMES)("under %s", (runtime) => {
  describe.skipIf(missing(runtime))("the installed package", () => {
    test("runs the README's first workflow", async () => {
      const program = start(runtime, [...flags(runtime), "first.ts"], installed.dir);
      expect(await program.exited).toEqual(ENDED);
      expect(program.output()).toMatch(/^7 run\.completed\nHello Ada, your name has 3 letters\.$/m);
    });

    test("has a command, whose worker reads a PDF in a process of its own", async () => {
      const command = `${installed.dir}/node_modules/millrace/cli/main.js`;
      const dev = start(runtime, [...flags(runtime), command, "dev"], installed.dir);
      const url = (await dev.line(/^listening on /)).slice("listening on ".length);
      const form = new FormData();
      form.append("file", new Blob([madePdf(PAPER)]), "paper.pdf");
      const asked = await fetch(`${url}/v1/documents?workflow=document-analysis`, { method: "POST", body: form });
      const { links } = (await asked.json()) as { links: { self: string; events: string } };
      await (await fetch(url + links.events, { headers: { Accept: "text/event-stream" } })).text();
      const run = await (await fetch(url + links.self)).json();
      expect(run).toMatchObject({ status: "completed", output: { pageCount: 1, dates: [{ date: "1894-05-03" }] } });
      expect(await dev.stop()).toEqual(ENDED);
    });

    test("makes a project that starts with two commands, and whose test passes", async () => {
      const command = `${installed.dir}/node_modules/millrace/cli/main.js`;
      const name = `app-${runtime}`;
      const init = start(runtime, [...flags(runtime), command, "init", name], installed.dir);
      expect([await init.exited, init.output()]).toEqual([ENDED, expect.stringContaining(`cd ${name}\n`)]);
      const dir = `${installed.dir}/${name}`;
      // In place of the first command, which would ask the registry for the package.
      await symlink(`${installed.dir}/node_modules`, `${dir}/node_modules`);
      await mkdir(`${dir}/.millrace`);
      await symlink(`${ROOT}.millrace/redis`, `${dir}/.millrace/redis`);
      const runs: Record<Runtime, [program: string | undefined, start: string[], test: string[]]> = {
        node: ["npm", ["start"], ["test"]],
        bun: [undefined, ["start"], ["test"]],
        deno: [undefined, ["task", "start"], ["task", "test"]],
      };
      const [program, starting, testing] = runs[runtime];
      const project = start(runtime, starting, dir, program);
      const url = (await project.line(/^listening on /)).slice("listening on ".length);
      const body = JSON.stringify({ input: { name: "Ada" } });
      const headers = { "Content-Type": "application/json" };
      const asked = await fetch(`${url}/v1/workflows/greet/runs`, { method: "POST", headers, body });
      const { links } = (await asked.json()) as { links: { events: string } };
      const events = await fetch(url + links.events, { headers: { Accept: "text/event-stream" } });
      expect(await events.text()).toContain("event: run.completed");
      process.kill(-project.pid, "SIGTERM");
      await project.exited;
      const tests = start(runtime, testing, dir, program);
      expect([(await tests.exited).code, tests.output()]).toEqual([
        0,
        expect.stringMatching(/\b2 pass|pass 2|2 passed/),
      ]);
    });
  });
});
