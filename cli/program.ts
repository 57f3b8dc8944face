import { Command, InvalidArgumentError, Option } from "commander";
import { MISSED_POLICIES, OVERLAP_POLICIES, PRIORITIES, type ScheduleOptions } from "../engine/index.ts";
import { type Limits, parseLimit } from "../gateway/limits.ts";
import type { ConfigCommand } from "./config.ts";
import type { DevCommand } from "./dev.ts";
import type { GatewayCommand } from "./gateway.ts";
import { dress } from "./help.ts";
import { addInitCommand } from "./init.ts";
import { endIfUnread } from "./interrupt.ts";
import { addKeyCommands } from "./key-commands.ts";
import type { KeysCommand } from "./keys.ts";
import { addOperatorCommands, type OperatorActions } from "./operator-commands.ts";
import { checked, json, type PageCommand, paged, whole, workflows } from "./options.ts";
import type { PauseCommand } from "./pauses.ts";
import type { QueuesCommand } from "./queues.ts";
import type { SchedulesCommand } from "./schedules.ts";
import { parsePort, VARIABLES } from "./settings.ts";
import type { SubscriptionsCommand } from "./subscriptions.ts";
import type { UploadCommand } from "./upload.ts";
import type { WorkerCommand } from "./worker.ts";

/** What each command does with its options. */
export interface Actions extends OperatorActions {
  dev(command: DevCommand): Promise<void>;
  gateway(command: GatewayCommand): Promise<void>;
  worker(command: WorkerCommand): Promise<void>;
  doctor(): Promise<void>;
  queues(command: QueuesCommand): Promise<void>;
  upload(command: UploadCommand): Promise<void>;
  pause(command: PauseCommand): Promise<void>;
  resume(command: PauseCommand): Promise<void>;
  paused(): Promise<void>;
  config(command: ConfigCommand): Promise<void>;
  schedules(command: SchedulesCommand): Promise<void>;
  subscriptions(command: SubscriptionsCommand): Promise<void>;
  keys(command: KeysCommand): Promise<void>;
}

const DAY_MS = 86_400_000;

/** The command line of `millrace`. It throws commander's CommanderError where that would end the process. */
export function makeProgram(actions: Actions): Command {
  const program = new Command("millrace")
    .configureOutput({ writeOut: (text) => void process.stdout.write(text, endIfUnread) })
    .description("A workflow engine on Redis Streams for AI and document work, with live progress")
    .addHelpText("after", `\nSettings come from the environment: ${VARIABLES.join(", ")}.`)
    .exitOverride();

  listensTo(program.command("dev"))
    .description("Redis, a worker and the gateway, all in one, for this directory")
    .addOption(concurrency())
    .action((options: DevCommand) => actions.dev(options));

  listensTo(program.command("gateway"))
    .description("serve HTTP and WebSockets; runs are done by workers")
    .addOption(
      new Option(
        "--admin-port <port>",
        "instead of MILLRACE_ADMIN_PORT: serve what is for operators there, and no longer on the other port",
      ).argParser(checked(parsePort)),
    )
    .option("--admin-host <address>", "instead of MILLRACE_ADMIN_HOST: the address of that port")
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
    .addOption(
      new Option("--metrics-port <port>", "serve /metrics, /livez and /readyz of this worker there").argParser(
        checked(parsePort),
      ),
    )
    .option("--host <address>", "the address of that port (default: 127.0.0.1)")
    .addOption(new Option("--with-parent", "end when standard input does").hideHelp())
    .action((options: WorkerCommand) => actions.worker(options));

  addLooks(program, actions);
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
  addConfig(program.command("config"), actions.config);
  addSchedules(program.command("schedules").description("what starts runs by the clock"), actions);
  addSubscriptions(program.command("subscriptions"), actions.subscriptions);
  addOperatorCommands(program, actions);
  addKeyCommands(program.command("keys"), actions.keys);
  addInitCommand(program.command("init"));
  dress(program);
  return program;
}

function addLooks(program: Command, actions: Actions): void {
  program
    .command("doctor")
    .description("find out what this Redis and this blob store can promise, and what to set")
    .action(() => actions.doctor());
  program
    .command("queues")
    .description("where work waits: each step with its depth, in flight, delayed, limited, dead, oldest, workers")
    .option("--workflow <name>", "of this workflow")
    .option("--watch", "look again and again, until it is stopped")
    .addOption(whole("--every-ms <ms>", "of --watch: how often", 100, DAY_MS).default(1_000))
    .action((options: QueuesCommand) => actions.queues(options));
  program
    .command("upload <file>")
    .description("send a document to a gateway; print its id, or that of the run that was started with it")
    .option("--workflow <name>", "start a run of this workflow with it")
    .option("--watch", "and watch that run to its end")
    .option("--name <name>", "what it is called (default: as the file)")
    .option("--type <type>", "its media type (default: what its bytes say)")
    .option("--url <url>", "instead of MILLRACE_URL: where the gateway is")
    .option("--key <key>", "instead of MILLRACE_KEY, which others on this machine do not see: an API key or a token")
    .action((file: string, options: Omit<UploadCommand, "file">) => actions.upload({ file, ...options }));
}

function pausable(command: Command): Command {
  return command
    .option("--workflow <name>", "a workflow, in all its versions")
    .option("--step <name>", "only this step of it")
    .option("--tenant <id>", "a tenant, in all workflows");
}

function addConfig(config: Command, act: Actions["config"]): void {
  config.description("read and change what every process is told; each sees it within a second");
  config
    .command("get <key>")
    .description("print a value, as JSON")
    .action((key: string) => act({ action: "get", key }));
  config
    .command("set <key> <value>")
    .description("store a value, which is JSON")
    .action((key: string, value: string) => act({ action: "set", key, value }));
  config
    .command("list [prefix]")
    .description("print every key, or those that begin so, with its value")
    .action((prefix?: string) => act({ action: "list", ...(prefix === undefined ? {} : { prefix }) }));
  config
    .command("delete <key>")
    .description("take a key away")
    .action((key: string) => act({ action: "delete", key }));
}

function addSubscriptions(subscriptions: Command, act: Actions["subscriptions"]): void {
  subscriptions.description("see and mend the groups of other services that take events of runs");
  subscriptions
    .command("list")
    .description("print every group with its figures")
    .action(() => act({ action: "list" }));
  const of = {
    resume: "let a paused one take events again",
    replay: "hand its dead letters over again",
    delete: "remove one with all that it has not handled",
  };
  for (const [action, description] of Object.entries(of))
    subscriptions
      .command(`${action} <group>`)
      .description(description)
      .action((group: string) => act({ action: action as keyof typeof of, group }));
}

function addSchedules(schedules: Command, actions: Actions): void {
  paged(schedules.command("list"))
    .description("the newest first, one a line")
    .action((page: PageCommand) => actions.schedules({ verb: "list", page }));

  type Created = ScheduleOptions & { workflows: string[]; tag: string[]; json?: boolean };
  schedules
    .command("create")
    .description("make one, or replace the one of that name")
    .argument("<name>")
    .requiredOption("--workflow <name>", "which workflow its runs are of")
    .requiredOption("--input <json>", "the input of every run", json)
    .option("--cron <fields>", "when: five fields, six with seconds first, or @daily and the like")
    .option("--time-zone <zone>", "of --cron (default: UTC)")
    .addOption(whole("--every <ms>", "when: every so many ms from now", 1_000, 366 * DAY_MS))
    .option("--at <time>", "when: once, such as 2030-01-31T09:00:00Z")
    .addOption(new Option("--overlap <policy>", "while the last run is live (default: skip)").choices(OVERLAP_POLICIES))
    .addOption(new Option("--missed <policy>", "for missed ticks (default: latest)").choices(MISSED_POLICIES))
    .addOption(whole("--jitter-ms <ms>", "put its ticks off by less than this", 0, 3_600_000))
    .option("--metadata <json>", "kept with every run", json)
    .addOption(new Option("--priority <priority>", "of every run (default: normal)").choices(PRIORITIES))
    .option("--tag <tag>", "by which every run is found; repeatable", (tag, tags: string[]) => [...tags, tag], [])
    .addOption(workflows())
    .action((name: string, { workflows, tag: tags, json: _, ...options }: Created) =>
      actions.schedules({ verb: "create", options: { ...options, tags, name }, workflows }),
    );

  for (const [verb, description] of [
    ["pause", "start no runs until it is resumed"],
    ["resume", "go on with the next tick from now"],
    ["delete", "its runs stay"],
  ] as const)
    schedules
      .command(verb)
      .description(description)
      .argument("<name>")
      .action((name: string) => actions.schedules({ verb, name }));

  schedules
    .command("trigger")
    .description("start a run now, beside its ticks")
    .argument("<name>")
    .addOption(workflows())
    .action((name: string, { workflows }: { workflows: string[] }) =>
      actions.schedules({ verb: "trigger", name, workflows }),
    );
}

function listensTo(command: Command): Command {
  return command
    .addOption(workflows())
    .addOption(new Option("--port <port>", "instead of PORT; 0 for any free one").argParser(checked(parsePort)))
    .option("--host <address>", "instead of HOST: the address to listen on")
    .addOption(limits());
}

function limits(): Option {
  const add = (text: string, earlier: Partial<Limits> = {}) => {
    try {
      return { ...earlier, ...parseLimit(text) };
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
  return new Option("--limit <name=value>", "another value for one of the limits of requests; repeatable").argParser(
    add,
  );
}

function concurrency(): Option {
  return whole("--concurrency <n>", "how many steps one worker runs at once (default: 32)", 1, 10_000);
}
