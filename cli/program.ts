import { Command, InvalidArgumentError, Option } from "commander";
import type { DevCommand } from "./dev.ts";
import { UsageError } from "./errors.ts";
import type { GatewayCommand } from "./gateway.ts";
import type { PauseCommand } from "./pauses.ts";
import { parsePort, parseWhole, VARIABLES } from "./settings.ts";
import type { WorkerCommand } from "./worker.ts";

/** What each command does with its options. */
export interface Actions {
  dev(command: DevCommand): Promise<void>;
  gateway(command: GatewayCommand): Promise<void>;
  worker(command: WorkerCommand): Promise<void>;
  pause(command: PauseCommand): Promise<void>;
  resume(command: PauseCommand): Promise<void>;
  paused(): Promise<void>;
}

const DAY_MS = 86_400_000;

/** The command line of `millrace`. It throws commander's CommanderError where that would end the process. */
export function makeProgram(actions: Actions): Command {
  const program = new Command("millrace")
    .description("A workflow engine on Redis Streams for AI and document work, with live progress")
    .addHelpText("after", `\nSettings come from the environment: ${VARIABLES.join(", ")}.`)
    .exitOverride();

  listensTo(program.command("dev"))
    .description("Redis, a worker and the gateway, all in one, for this directory")
    .addOption(concurrency())
    .action((options: DevCommand) => actions.dev(options));

  listensTo(program.command("gateway"))
    .description("serve HTTP and WebSockets; runs are done by workers")
    .action((options: GatewayCommand) => actions.gateway(options));

  program
    .command("worker")
    .description("run steps, until asked to stop; then drain")
    .addOption(workflows())
    .option("--steps <list>", "only these: STEP, WORKFLOW/STEP or WORKFLOW/*, separated by commas")
    .addOption(concurrency())
    .addOption(
      whole(
        "--lease-ms <ms>",
        "how long a step stays this worker's without a sign of life (default: 10000)",
        100,
        DAY_MS,
      ),
    )
    .addOption(whole("--drain-ms <ms>", "how long handlers may go on once asked to stop", 0, DAY_MS).default(10_000))
    .addOption(new Option("--with-parent", "end when standard input does").hideHelp())
    .action((options: WorkerCommand) => actions.worker(options));

  pausable(program.command("pause"))
    .description("start no more attempts of a workflow, a step of it, or a tenant; what is queued stays")
    .action((options: PauseCommand) => actions.pause(options));

  pausable(program.command("resume"))
    .description("let it go on")
    .action((options: PauseCommand) => actions.resume(options));

  program
    .command("paused")
    .description("say what is paused")
    .action(() => actions.paused());
  return program;
}

function pausable(command: Command): Command {
  return command
    .option("--workflow <name>", "a workflow, in all its versions")
    .option("--step <name>", "only this step of it")
    .option("--tenant <id>", "a tenant, in all workflows");
}

function listensTo(command: Command): Command {
  return command
    .addOption(workflows())
    .addOption(new Option("--port <port>", "instead of PORT; 0 for any free one").argParser(checked(parsePort)))
    .option("--host <address>", "instead of HOST: the address to listen on");
}

function workflows(): Option {
  const add = (path: string, earlier: string[]) => [...earlier, path];
  return new Option("--workflows <module>", "a module that exports definitions; repeatable")
    .argParser(add)
    .default([], "the shipped ones");
}

function concurrency(): Option {
  return whole("--concurrency <n>", "how many steps one worker runs at once (default: 32)", 1, 10_000);
}

function whole(flags: string, description: string, min: number, max: number): Option {
  return new Option(flags, description).argParser(checked((name, text) => parseWhole(name, text, min, max)));
}

/** Commander names the option and the value; the reason comes from the parser. */
function checked(parse: (name: string, text: string) => number): (text: string) => number {
  return (text) => {
    try {
      return parse("It", text);
    } catch (error) {
      if (error instanceof UsageError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}
