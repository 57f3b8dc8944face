import type { DeadLetterFilter, DeadLetterView, Millrace } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { operate, parseJson, parseTime, print } from "./operator.ts";
import { parseWhole, type Settings } from "./settings.ts";
import { askedToStop } from "./stop.ts";

/** As the command line has them. */
export interface LetterOptions {
  workflow?: string;
  step?: string;
  errorCode?: string;
  before?: string;
  after?: string;
  limit?: string;
  cursor?: string;
  input?: string;
  all?: boolean;
}

export type DeadLettersCommand =
  | { action: "list"; options: LetterOptions }
  | { action: "show"; id: string }
  | { action: "replay" | "discard"; ids: string[]; options: LetterOptions };

const LOOK_EVERY_MS = 500;

/**
 * `millrace dead-letters`: shows, replays and drops steps that failed for good.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runDeadLetters(command: DeadLettersCommand, settings: Settings): Promise<void> {
  if (command.action === "show") {
    const { id } = command;
    return operate(settings, async ({ deadLetters }) => print(await deadLetters.get(id)));
  }
  const { options } = command;
  const filter = filterOf(options);
  if (command.action === "list") {
    const limit = options.limit === undefined ? 20 : parseWhole("--limit", options.limit, 1, 100);
    const { cursor } = options;
    return operate(settings, (millrace) =>
      list(millrace, { ...filter, limit, ...(cursor === undefined ? {} : { cursor }) }),
    );
  }
  const { action, ids } = command;
  const isFiltered = Object.keys(filter).length > 0;
  if (ids.length > 0 && (isFiltered || options.all || options.limit !== undefined))
    throw new UsageError(`Give dead-letters ${action} ids, or say by its options which fit; not both.`);
  if (ids.length === 0 && !isFiltered && !options.all)
    throw new UsageError(`Give dead-letters ${action} ids, or say by its options which fit, or --all.`);
  if (options.input !== undefined && ids.length !== 1) throw new UsageError("--input goes with one id.");
  const limit = options.limit === undefined ? undefined : parseWhole("--limit", options.limit, 1, 999_999_999);
  const input = options.input === undefined ? undefined : parseJson("--input", options.input);
  return operate(settings, (millrace) =>
    ids.length > 0 ? each(millrace, action, ids, input) : many(millrace, action, filter, limit),
  );
}

async function list({ deadLetters }: Millrace, options: DeadLetterFilter & { limit: number; cursor?: string }) {
  const { data, next } = await deadLetters.list(options);
  for (const letter of data) console.log(lineOf(letter));
  if (next !== undefined) console.log(`more: --cursor ${next}`);
}

async function each({ deadLetters }: Millrace, action: "replay" | "discard", ids: string[], input: unknown) {
  for (const id of ids) {
    if (action === "discard") {
      await deadLetters.discard(id);
      console.log(`dropped ${id}`);
    } else {
      const { run, step } = await deadLetters.replay(id, { input });
      console.log(`run ${run} goes on at ${step}`);
    }
  }
}

/** Follows the operation to its end. It goes on without this process, as long as a worker runs. */
async function many(
  { deadLetters }: Millrace,
  action: "replay" | "discard",
  filter: DeadLetterFilter,
  limit: number | undefined,
) {
  const act = action === "replay" ? deadLetters.replayMany : deadLetters.discardMany;
  let operation = await act.call(deadLetters, filter, limit === undefined ? {} : { limit });
  let stopped = false;
  const stop = askedToStop().then(() => {
    stopped = true;
  });
  while (operation.status === "running" && !stopped) {
    console.log(`${operation.done} so far; workers go on with operation ${operation.id}`);
    await Promise.race([stop, new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))]);
    operation = await deadLetters.operation(operation.id);
  }
  const verb = action === "replay" ? "replayed" : "dropped";
  console.log(`${verb} ${operation.done} of ${operation.matched} that fit${stopped ? " so far" : ""}`);
}

function filterOf({ workflow, step, errorCode, before, after }: LetterOptions): DeadLetterFilter {
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(step === undefined ? {} : { step }),
    ...(errorCode === undefined ? {} : { errorCode }),
    ...(before === undefined ? {} : { before: parseTime("--before", before) }),
    ...(after === undefined ? {} : { after: parseTime("--after", after) }),
  };
}

function lineOf({ id, at, workflow, version, step, attempt, error }: DeadLetterView): string {
  const message = error.message.replaceAll(/\s+/g, " ").slice(0, 200);
  return `${id}  ${at}  ${workflow}@${version}:${step}  attempt ${attempt}  ${error.name}: ${message}`;
}
