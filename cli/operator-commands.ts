import { type Command, Option } from "commander";
import { RUN_STATUSES } from "../engine/index.ts";
import type { DeadLettersCommand, LetterOptions } from "./dead-letters.ts";
import { type PageCommand, paged, whole, workflows } from "./options.ts";
import type { RunListOptions, RunRerunOptions, RunSignalOptions, RunStartOptions, RunsCommand } from "./runs.ts";
import { HIGHEST_VERSION, type VersionsCommand } from "./versions.ts";

const MOST = 999_999_999;

export interface OperatorActions {
  runs(command: RunsCommand): Promise<void>;
  deadLetters(command: DeadLettersCommand): Promise<void>;
  versions(command: VersionsCommand): Promise<void>;
}

/** The commands of those who operate a Millrace: they need Redis and the blob store, and only to start a run definitions. */
export function addOperatorCommands(program: Command, actions: OperatorActions): void {
  addRuns(program.command("runs"), actions.runs);
  const letters = program.command("dead-letters").description("see, replay and drop steps that failed for good");
  paged(filtered(letters.command("list")))
    .description("the newest, or those that fit, one a line")
    .action((options: LetterOptions & PageCommand) => actions.deadLetters({ action: "list", options }));
  letters
    .command("show <id>")
    .description("print one with its input, error and attempts, as JSON")
    .action((id: string) => actions.deadLetters({ action: "show", id }));
  filtered(letters.command("replay [id...]"))
    .description("let runs go on from the step that failed: these, or all that fit")
    .addOption(whole("--limit <n>", "no more than so many of those that fit", 1, MOST))
    .option("--all", "all of them, where nothing else says which")
    .option("--input <json>", "what the step is given from now on; with one id")
    .action((ids: string[], options: LetterOptions) => actions.deadLetters({ action: "replay", ids, options }));
  filtered(letters.command("discard [id...]"))
    .description("drop these, or all that fit; their runs stay failed")
    .addOption(whole("--limit <n>", "no more than so many of those that fit", 1, MOST))
    .option("--all", "all of them, where nothing else says which")
    .action((ids: string[], options: LetterOptions) => actions.deadLetters({ action: "discard", ids, options }));

  const versions = program.command("versions").description("see the versions of workflows, and move runs between them");
  versions
    .command("list [workflow]")
    .description("each version with its workers and its live runs, one a line")
    .action((workflow?: string) =>
      actions.versions({ action: "list", ...(workflow === undefined ? {} : { workflow }) }),
    );
  versions
    .command("migrate <workflow>")
    .description("move live runs to the steps of the same names, where nobody works on them")
    .addOption(whole("--from <version>", "the version that they are of", 1, HIGHEST_VERSION).makeOptionMandatory())
    .addOption(whole("--to <version>", "the version that they go on with", 1, HIGHEST_VERSION).makeOptionMandatory())
    .addOption(whole("--limit <n>", "no more than so many", 1, MOST))
    .option("--dry-run", "say what would be done")
    .action((workflow: string, options: { from: number; to: number; limit?: number; dryRun?: boolean }) =>
      actions.versions({ action: "migrate", workflow, ...options }),
    );
  versions
    .command("retire <workflow> <version>")
    .description("forget a version that is done with; its ended runs are still shown")
    .action((workflow: string, version: string) => actions.versions({ action: "retire", workflow, version }));
}

function addRuns(runs: Command, act: OperatorActions["runs"]): void {
  runs.description("see, start, signal, cancel and delete runs, or run them again");
  const list = runs
    .command("list")
    .description("the newest, or those that fit, one a line")
    .option("--workflow <name>", "of this workflow")
    .addOption(new Option("--status <status>", "in this status").choices(RUN_STATUSES))
    .option("--tag <tag>", "that have this tag");
  paged(list).action((options: RunListOptions) => act({ action: "list", options }));
  runs
    .command("show <id>")
    .description("print one with its input, output and steps, as JSON")
    .action((id: string) => act({ action: "show", id }));
  runs
    .command("watch <id>")
    .description("print each event as it comes, to the run's end; it survives a Redis that goes and comes back")
    .option("--after <seq>", "only what comes after this number or cursor of an event")
    .action((id: string, { after }: { after?: string }) =>
      act({ action: "watch", id, ...(after === undefined ? {} : { after }) }),
    );
  runs
    .command("start <workflow>")
    .description("start a run of the newest version; print its id")
    .requiredOption("--input <json>", "what it is given")
    .option("--idempotency-key <key>", "makes it safe to repeat: the same run for 24 hours")
    .addOption(workflows())
    .action((workflow: string, options: RunStartOptions) => act({ action: "start", workflow, options }));
  runs
    .command("cancel <id...>")
    .description("end live runs; say of each whether something is undone first")
    .action((ids: string[]) => act({ action: "cancel", ids }));
  runs
    .command("signal <id> <name>")
    .description("hand a signal to the step that waits for it by this name, or will")
    .option("--data <json>", "what it brings (default: null)")
    .option("--key <key>", "makes it safe to repeat: sent twice, it counts once")
    .addOption(workflows("none, and what it brings is checked by the worker"))
    .action((id: string, name: string, options: RunSignalOptions) => act({ action: "signal", id, name, options }));
  runs
    .command("delete <id...>")
    .description("remove ended runs with all that they made")
    .action((ids: string[]) => act({ action: "delete", ids }));
  runs
    .command("rerun <id>")
    .description("start a new run with what an ended one had come to, from a step on")
    .requiredOption("--from <step>", "the step to begin from")
    .option("--input <json>", "what that step is given, instead of what it was")
    .option("--newest", "on the newest version that is known here, instead of its own")
    .addOption(workflows())
    .action((id: string, options: RunRerunOptions) => act({ action: "rerun", id, options }));
}

function filtered(command: Command): Command {
  return command
    .option("--workflow <name>", "of this workflow")
    .option("--step <name>", "of this step")
    .option("--error-code <code>", "that died of an error with this code")
    .option("--before <time>", "that died before this, such as 2026-01-31T12:00:00Z")
    .option("--after <time>", "that died then or later");
}
