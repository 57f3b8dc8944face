import { hexDigest, type Millrace, type RunStatus, type RunSummary } from "../engine/index.ts";
import { loadDefinitions } from "./definitions.ts";
import { UsageError } from "./errors.ts";
import { operate, parseJson } from "./operator.ts";
import { type PageCommand, pageOf } from "./options.ts";
import type { Column, Printer } from "./printer.ts";
import { watchRun } from "./run-watch.ts";
import type { Settings } from "./settings.ts";

/** As the command line has them. */
export interface RunListOptions extends PageCommand {
  workflow?: string;
  status?: RunStatus;
  tag?: string;
}

/** As the command line has them. */
export interface RunStartOptions {
  input: string;
  idempotencyKey?: string;
  workflows: string[];
}

/** As the command line has them. */
export interface RunSignalOptions {
  data?: string;
  key?: string;
  workflows: string[];
}

export interface RunRerunOptions {
  from: string;
  input?: string;
  newest?: boolean;
  workflows: string[];
}

export type RunsCommand =
  | { action: "list"; options: RunListOptions }
  | { action: "show"; id: string }
  | { action: "watch"; id: string; after?: string }
  | { action: "start"; workflow: string; options: RunStartOptions }
  | { action: "cancel" | "delete"; ids: string[] }
  | { action: "signal"; id: string; name: string; options: RunSignalOptions }
  | { action: "rerun"; id: string; options: RunRerunOptions };

const COLUMNS: readonly Column<RunSummary>[] = [
  { name: "id", of: ({ id }) => id },
  { name: "created", of: ({ createdAt }) => createdAt },
  { name: "workflow", of: ({ workflow, version }) => `${workflow}@${version}` },
  { name: "status", of: statusOf, style: ({ status }) => STYLES[status] },
  { name: "tags", of: ({ tags = [] }) => tags.join(",") },
  { name: "error", of: ({ error }) => error && `${error.name}: ${error.message.slice(0, 200)}` },
];

const STYLES = { completed: "good", failed: "bad", cancelled: "bad", running: "busy" } as Readonly<
  Record<string, "good" | "bad" | "busy">
>;

/**
 * `millrace runs`: lists, shows, watches, starts, signals and ends runs, deletes ended ones, or runs one again.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runRuns(command: RunsCommand, settings: Settings, out: Printer): Promise<void> {
  switch (command.action) {
    case "list":
      return list(command.options, settings, out);
    case "show":
      return operate(settings, async ({ runs }) => out.document(await runs.get(command.id)));
    case "watch":
      return operate(settings, async (millrace) => {
        process.exitCode = await watchRun(millrace, command.id, command.after, out);
      });
    case "start":
      return start(command.workflow, command.options, settings, out);
    case "cancel":
    case "delete":
      return each(command.action, command.ids, settings, out);
    case "signal":
      return signal(command.id, command.name, command.options, settings, out);
    case "rerun":
      return rerun(command.id, command.options, settings, out);
  }
}

async function list(command: RunListOptions, settings: Settings, out: Printer): Promise<void> {
  const { workflow, status, tag } = command;
  const options = {
    ...pageOf(command),
    ...(workflow === undefined ? {} : { workflow }),
    ...(status === undefined ? {} : { status }),
    ...(tag === undefined ? {} : { tag }),
  };
  await operate(settings, async ({ runs }) => out.list(await runs.list(options), COLUMNS));
}

async function start(workflow: string, options: RunStartOptions, settings: Settings, out: Printer): Promise<void> {
  const input = parseJson("--input", options.input);
  const definitions = await loadDefinitions(options.workflows);
  const same = options.idempotencyKey === undefined ? {} : await idempotency(options.idempotencyKey, workflow, input);
  const act = async ({ runs }: Millrace) => {
    const run = await runs.start(workflow, input, same);
    out.result(run, run.id);
  };
  await operate(settings, act, definitions);
}

/** The same key with the same workflow and input is the same run, with others it is a conflict. */
async function idempotency(key: string, workflow: string, input: unknown) {
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw new UsageError("--idempotency-key takes 1 to 255 printable ASCII characters.");
  const digest = await hexDigest("SHA-256", `${workflow}\n${JSON.stringify(input)}`);
  return { idempotency: { scope: "command line", key, digest } };
}

async function signal(
  id: string,
  name: string,
  options: RunSignalOptions,
  settings: Settings,
  out: Printer,
): Promise<void> {
  const data = options.data === undefined ? null : parseJson("--data", options.data);
  const key = options.key === undefined ? {} : { key: options.key };
  const definitions = options.workflows.length === 0 ? [] : await loadDefinitions(options.workflows);
  const act = async ({ runs }: Millrace) => {
    await runs.signal(id, name, data, key);
    out.result({ id, signal: name, data }, `signal ${name} sent to run ${id}`);
  };
  await operate(settings, act, definitions);
}

async function rerun(
  id: string,
  { from, newest, ...options }: RunRerunOptions,
  settings: Settings,
  out: Printer,
): Promise<void> {
  const input = options.input === undefined ? {} : { input: parseJson("--input", options.input) };
  const definitions = newest === true ? await loadDefinitions(options.workflows) : [];
  const act = async ({ runs }: Millrace) => {
    const run = await runs.rerun(id, { from, ...input, newest: newest === true });
    out.result(run, run.id);
  };
  await operate(settings, act, definitions);
}

async function each(
  action: "cancel" | "delete",
  ids: readonly string[],
  settings: Settings,
  out: Printer,
): Promise<void> {
  const act = async ({ runs }: Millrace, id: string) => {
    await runs[action](id);
    if (action === "delete") return out.line({ id, deleted: true }, `deleted ${id}`);
    // What it has done may have to be undone before it has ended.
    const run = await runs.summary(id);
    out.line(run, `${id}\t${run.undoing === undefined ? run.status : "undoing"}`);
  };
  await operate(settings, async (millrace) => {
    for (const id of ids) await act(millrace, id);
  });
}

function statusOf({ status, undoing }: RunSummary): string {
  return undoing === undefined ? status : `undoing (${undoing})`;
}
