import { mkdir, mkdtemp } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The checkout. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Names one run of the suite; every process that it starts inherits it, and every namespace carries it. */
export const RUN_VARIABLE = "MILLRACE_TEST_RUN";

export function runName(): string {
  const name = process.env[RUN_VARIABLE];
  if (name === undefined) throw new Error(`${RUN_VARIABLE} is not set: tests run under vitest, with its global setup`);
  return name;
}

/** Where the files of this run live; removed when it ends. */
export const runDir = () => `${ROOT}.millrace/tests/${runName()}`;

/** A new empty directory. It is gone when the suite has ended. */
export async function temporaryDir(): Promise<string> {
  await mkdir(runDir(), { recursive: true });
  return mkdtemp(`${runDir()}/`);
}
