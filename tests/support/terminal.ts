import { existsSync } from "node:fs";
import { type StartedProcess, startProgram } from "./process.ts";
import { runtimePaths } from "./runtime-path.ts";

/** Of util-linux: it gives a program a terminal, and passes on what that is shown. */
const SCRIPT = "/usr/bin/script";

/** Why nothing can be tried on a terminal here; undefined if it can. For `skipIf`. */
export const noTerminal = existsSync(SCRIPT) ? undefined : `there is no ${SCRIPT}`;

/** Starts the command line under Node, on a terminal of 40 lines of 120 characters that shows colours. @param line as a shell takes it */
export function onTerminal(line: string, env: Record<string, string | undefined>): StartedProcess {
  const command = `stty rows 40 cols 120; '${runtimePaths.node}' cli/main.ts ${line}`;
  const terminal = { NO_COLOR: undefined, TERM: "xterm" };
  return startProgram(SCRIPT, ["-qefc", command, "/dev/null"], { env: { ...terminal, ...env } });
}
