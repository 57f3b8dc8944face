import { CommanderError } from "commander";
import { DefinitionError, MillraceError } from "../engine/index.ts";
import { CommandError } from "./errors.ts";
import { configureLogging } from "./logging.ts";
import { makeProgram } from "./program.ts";
import { readSettings, type Settings } from "./settings.ts";

/** Each command is loaded when it is asked for: a worker has no need of the gateway. */
const program = makeProgram({
  dev: (command) => start(async (settings) => (await import("./dev.ts")).runDev(command, settings)),
  gateway: (command) => start(async (settings) => (await import("./gateway.ts")).runGateway(command, settings)),
  runs: (command) => operate(async (settings) => (await import("./runs.ts")).runRuns(command, settings)),
  deadLetters: (command) =>
    operate(async (settings) => (await import("./dead-letters.ts")).runDeadLetters(command, settings)),
  versions: (command) => operate(async (settings) => (await import("./versions.ts")).runVersions(command, settings)),
  pause: (command) => operate(async (settings) => (await import("./pauses.ts")).runPause(command, settings)),
  resume: (command) => operate(async (settings) => (await import("./pauses.ts")).runResume(command, settings)),
  paused: () => operate(async (settings) => (await import("./pauses.ts")).runPaused(settings)),
  worker: (command) => start(async (settings) => (await import("./worker.ts")).runWorker(command, settings)),
  config: (command) => operate(async (settings) => (await import("./config.ts")).runConfig(command, settings)),
  schedules: (command) => operate(async (settings) => (await import("./schedules.ts")).runSchedules(command, settings)),
  subscriptions: (command) =>
    operate(async (settings) => (await import("./subscriptions.ts")).runSubscriptions(command, settings)),
  keys: (command) => operate(async (settings) => (await import("./keys.ts")).runKeys(command, settings)),
});

async function start(command: (settings: Settings) => Promise<void>, quiet = false): Promise<void> {
  const settings = readSettings(process.env);
  await configureLogging(quiet && !process.env.LOG_LEVEL ? "warning" : settings.logLevel, settings.logFormat);
  await command(settings);
}

/** What does one thing and ends says that, and what is wrong. */
function operate(command: (settings: Settings) => Promise<void>): Promise<void> {
  return start(command, true);
}

/** Says what went wrong. @returns the exit code: 2 for what was asked wrongly, else 1 */
function report(error: unknown): number {
  // Commander has said it already; asking for help is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const isExpected = error instanceof CommandError || error instanceof MillraceError;
  console.error(isExpected ? `millrace: ${error.message}` : error);
  if (error instanceof CommandError) return error.exitCode;
  return error instanceof DefinitionError ? 2 : 1;
}

try {
  await program.parseAsync(process.argv.slice(2), { from: "user" });
  process.exit(0);
} catch (error) {
  process.exit(report(error));
}
