import { CommanderError } from "commander";
import { EXIT, endOf } from "./errors.ts";
import { configureLogging } from "./logging.ts";
import { clean, Printer } from "./printer.ts";
import { makeProgram } from "./program.ts";
import { readSettings, type Settings } from "./settings.ts";

/** How the command that was asked for prints. */
let out = new Printer({ json: false });

/** Each command is loaded when it is asked for: a worker has no need of the gateway. */
const program = makeProgram({
  dev: (command) => start(async (settings) => (await import("./dev.ts")).runDev(command, settings)),
  gateway: (command) => start(async (settings) => (await import("./gateway.ts")).runGateway(command, settings)),
  runs: (command) => operate(async (settings) => (await import("./runs.ts")).runRuns(command, settings, out)),
  deadLetters: (command) =>
    operate(async (settings) => (await import("./dead-letters.ts")).runDeadLetters(command, settings, out)),
  versions: (command) =>
    operate(async (settings) => (await import("./versions.ts")).runVersions(command, settings, out)),
  doctor: () => operate(async (settings) => (await import("./doctor.ts")).runDoctor(settings, out)),
  queues: (command) => operate(async (settings) => (await import("./queues.ts")).runQueues(command, settings, out)),
  upload: (command) => operate(async (settings) => (await import("./upload.ts")).runUpload(command, settings, out)),
  pause: (command) =>
    operate(async (settings) => (await import("./pauses.ts")).runPause("pause", command, settings, out)),
  resume: (command) =>
    operate(async (settings) => (await import("./pauses.ts")).runPause("resume", command, settings, out)),
  paused: () => operate(async (settings) => (await import("./pauses.ts")).runPaused(settings, out)),
  worker: (command) => start(async (settings) => (await import("./worker.ts")).runWorker(command, settings)),
  config: (command) => operate(async (settings) => (await import("./config.ts")).runConfig(command, settings, out)),
  schedules: (command) =>
    operate(async (settings) => (await import("./schedules.ts")).runSchedules(command, settings, out)),
  subscriptions: (command) =>
    operate(async (settings) => (await import("./subscriptions.ts")).runSubscriptions(command, settings, out)),
  keys: (command) => operate(async (settings) => (await import("./keys.ts")).runKeys(command, settings, out)),
}).hook("preAction", (_, command) => {
  out = new Printer({ json: command.opts().json === true });
});
// The write itself is told what it has failed with; a server serves on though nobody reads what it prints.
process.stdout.on("error", () => {});

async function start(command: (settings: Settings) => Promise<void>, quiet = false): Promise<void> {
  const settings = readSettings(process.env);
  await configureLogging(quiet && !process.env.LOG_LEVEL ? "warning" : settings.logLevel, settings.logFormat);
  await command(settings);
}

/** What does one thing and ends says that, and what is wrong. */
function operate(command: (settings: Settings) => Promise<void>): Promise<void> {
  return start(command, true);
}

/** Says what went wrong. @returns the exit code */
function report(error: unknown): number {
  // Commander has said it already; asking for help is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const { code, words } = endOf(error);
  console.error(words === undefined ? error : `millrace: ${words.split("\n").map(clean).join("\n")}`);
  return code;
}

try {
  await program.parseAsync(process.argv.slice(2), { from: "user" });
} catch (error) {
  process.exitCode = report(error);
}
await out.written();
process.exit(process.exitCode);
