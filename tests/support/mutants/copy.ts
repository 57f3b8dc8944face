import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { startProgram } from "../process.ts";
import { ROOT, temporaryDir } from "../run.ts";
import type { Mutant } from "./table.ts";

const COPIED = [
  "engine",
  "workflows",
  "gateway",
  "cli",
  "bin",
  "tests",
  "package.json",
  "vitest.config.ts",
  "README.md",
];
/** What it must not take: a test that hangs without a rule has failed. */
const LONGEST_MS = 120_000;

export interface Tried {
  /** Names of tests. */
  passed: string[];
  failed: string[];
  output: string;
}

/** The sources in a directory of their own, where a rule can be taken out of them and their tests be run. */
export class Copy {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Gone when the suite has ended. */
  static async make(): Promise<Copy> {
    const dir = await temporaryDir();
    for (const name of COPIED) await cp(`${ROOT}${name}`, `${dir}/${name}`, { recursive: true });
    await symlink(`${ROOT}node_modules`, `${dir}/node_modules`);
    // A server program that had to be fetched.
    await mkdir(`${dir}/.millrace`);
    await symlink(`${ROOT}.millrace/redis`, `${dir}/.millrace/redis`);
    return new Copy(dir);
  }

  /** Runs these tests with the rule taken out; the sources are whole again afterwards. @throws Error unless it is there once */
  async without({ file, search, replace, tests, in: files }: Mutant): Promise<Tried> {
    const path = `${this.#dir}/${file}`;
    const whole = await readFile(path, "utf8");
    const parts = whole.split(search);
    if (parts.length !== 2) throw new Error(`${file} has it ${parts.length - 1} times, and not once: ${search}`);
    await writeFile(path, parts.join(replace));
    try {
      return await this.run(files, tests);
    } finally {
      await writeFile(path, whole);
    }
  }

  /** What passes and what fails of these tests. */
  async run(files: readonly string[], tests: RegExp): Promise<Tried> {
    const report = `${this.#dir}/report.json`;
    await writeFile(report, "{}");
    const args = ["vitest", "run", ...files, "-t", tests.source, "--reporter=json", `--outputFile=${report}`];
    // Nothing of the outer run: its server, its namespace.
    const env = { REDIS_URL: undefined, VALKEY_URL: undefined, VITEST: undefined };
    const run = startProgram(process.execPath, [`${this.#dir}/bin/run.mjs`, ...args], { cwd: this.#dir, env });
    const timer = setTimeout(() => run.kill("SIGKILL"), LONGEST_MS);
    await run.exited;
    clearTimeout(timer);
    const { testResults = [] } = JSON.parse(await readFile(report, "utf8")) as Report;
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    const named = (status: string) => results.filter((each) => each.status === status).map(({ fullName }) => fullName);
    return { passed: named("passed"), failed: named("failed"), output: run.output() };
  }
}

interface Report {
  testResults?: { assertionResults: { fullName: string; status: string }[] }[];
}
