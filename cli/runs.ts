import { hexDigest, type Millrace, RUN_STATUSES, type RunSummary } from "../engine/index.ts";
import { loadDefinitions } from "./definitions.ts";
import { UsageError } from "./errors.ts";
import { operate, parseJson, print } from "./operator.ts";
import { parseWhole, type Settings } from "./settings.ts";

/** As the command line has them. */
export interface RunListOptions {
  workflow?: string;
  status?: string;
  tag?: string;
  limit?: string;
  cursor?: string;
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
  | { action: "start"; workflow: string; options: RunStartOptions }
  | { action: "cancel" | "delete"; ids: string[] }
  | { action: "signal"; id: string; name: string; options: RunSignalOptions }
  | { action: "rerun"; id: string; options: RunRerunOptions };

/**
 * `millrace runs`: lists, shows, starts, signals and ends runs, deletes ended ones, or runs one again.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runRuns(command: RunsCommand, settings: Settings): Promise<void> {
  switch (command.action) {
    case "list":
      return list(command.options, settings);
    case "show":
      return operate(settings, async ({ runs }) => print(await runs.get(command.id)));
    case "start":
      return start(command.workflow, command.options, settings);
    case "cancel":
    case "delete":
      return each(command.action, command.ids, settings);
    case "signal":
      return signal(command.id, command.name, command.options, settings);
    case "rerun":
      return rerun(command.id, command.options, settings);
  }
}

async function list({ workflow, status, tag, limit, cursor }: RunListOptions, settings: Settings): Promise<void> {
  const wanted = RUN_STATUSES.find((each) => each === status);
  if (status !== undefined && wanted === undefined)
    throw new UsageError(`--status takes one of ${RUN_STATUSES.join(", ")}, not ${JSON.stringify(status)}.`);
  const options = {
    limit: limit === undefined ? 20 : parseWhole("--limit", limit, 1, 100),
    ...(workflow === undefined ? {} : { workflow }),
    ...(wanted === undefined ? {} : { status: wanted }),
    ...(tag === undefined ? {} : { tag }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  await operate(settings, async ({ runs }) => {
    const { data, next } = await runs.list(options);
    for (const run of data) console.log(lineOf(run));
    if (next !== undefined) console.log(`more: --cursor ${next}`);
  });
}

async function start(workflow: string, options: RunStartOptions, settings: Settings): Promise<void> {
  const input = parseJson("--input", options.input);
  const definitions = await loadDefinitions(options.workflows);
  const same = options.idempotencyKey === undefined ? {} : await idempotency(options.idempotencyKey, workflow, input);
  await operate(settings, async ({ runs }) => console.log((await runs.start(workflow, input, same)).id), definitions);
}

/** The same key with the same workflow and input is the same run, with others it is a conflict. */
async function idempotency(key: string, workflow: string, input: unknown) {
  if (!/^[\x20-\x7e]{1,255}$/.test(key))
    throw new UsageError("--idempotency-key takes 1 to 255 printable ASCII characters.");
  const digest = await hexDigest("SHA-256", `${workflow}\n${JSON.stringify(input)}`);
  return { idempotency: { scope: "command line", key, digest } };
}

async function signal(id: string, name: string, options: RunSignalOptions, settings: Settings): Promise<void> {
  const data = options.data === undefined ? null : parseJson("--data", options.data);
  const key = options.key === undefined ? {} : { key: options.key };
  const definitions = options.workflows.length === 0 ? [] : await loadDefinitions(options.workflows);
  const act = async ({ runs }: Millrace) => {
    await runs.signal(id, name, data, key);
    console.log(`signal ${name} sent to run ${id}`);
  };
  await operate(settings, act, definitions);
}

async function rerun(id: string, { from, newest, ...options }: RunRerunOptions, settings: Settings): Promise<void> {
  const input = options.input === undefined ? {} : { input: parseJson("--input", options.input) };
  const definitions = newest === true ? await loadDefinitions(options.workflows) : [];
  const how = { from, ...input, newest: newest === true };
  await operate(settings, async ({ runs }) => console.log((await runs.rerun(id, how)).id), definitions);
}

async function each(action: "cancel" | "delete", ids: readonly string[], settings: Settings): Promise<void> {
  const act = async ({ runs }: Millrace, id: string) => {
    await runs[action](id);
    if (action === "delete") return `deleted ${id}`;
    // What it has done may have to be undone before it has ended.
    const { status, undoing } = await runs.summary(id);
    return `${id}  ${undoing === undefined ? status : "undoing"}`;
  };
  await operate(settings, async (millrace) => {
    for (const id of ids) console.log(await act(millrace, id));
  });
}

function lineOf({ id, createdAt, workflow, version, status, undoing, tags = [], error }: RunSummary): string {
  const words = [
    id,
    createdAt,
    `${workflow}@${version}`,
    undoing === undefined ? status : `undoing (${undoing})`,
    ...tags,
  ];
  if (error !== undefined) words.push(`${error.name}: ${error.message.replaceAll(/\s+/g, " ").slice(0, 200)}`);
  return words.join("  ");
}
