import type { DeadLetterFilter, DeadLetterView, Millrace } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { operate, parseJson, parseTime } from "./operator.ts";
import { type PageCommand, pageOf } from "./options.ts";
import type { Column, Printer } from "./printer.ts";
import type { Settings } from "./settings.ts";
import { askedToStop } from "./stop.ts";

/** As the command line has them. */
export interface LetterOptions {
  workflow?: string;
  step?: string;
  errorCode?: string;
  before?: string;
  after?: string;
  limit?: number;
  input?: string;
  all?: boolean;
}

export type DeadLettersCommand =
  | { action: "list"; options: LetterOptions & PageCommand }
  | { action: "show"; id: string }
  | { action: "replay" | "discard"; ids: string[]; options: LetterOptions };

const LOOK_EVERY_MS = 500;

const COLUMNS: readonly Column<DeadLetterView>[] = [
  { name: "id", of: ({ id }) => id },
  { name: "at", of: ({ at }) => at },
  { name: "step", of: ({ workflow, version, step }) => `${workflow}@${version}:${step}` },
  { name: "attempt", of: ({ attempt }) => attempt, isNumber: true },
  { name: "error", of: ({ error }) => `${error.name}: ${error.message.slice(0, 200)}`, style: () => "bad" },
];

/**
 * `millrace dead-letters`: shows, replays and drops steps that failed for good.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runDeadLetters(command: DeadLettersCommand, settings: Settings, out: Printer): Promise<void> {
  if (command.action === "show") {
    const { id } = command;
    return operate(settings, async ({ deadLetters }) => out.document(await deadLetters.get(id)));
  }
  const { options } = command;
  const filter = filterOf(options);
  if (command.action === "list") {
    const page = pageOf(command.options);
    return operate(settings, async ({ deadLetters }) =>
      out.list(await deadLetters.list({ ...filter, ...page }), COLUMNS),
    );
  }
  const { action, ids } = command;
  const isFiltered = Object.keys(filter).length > 0;
  if (ids.length > 0 && (isFiltered || options.all || options.limit !== undefined))
    throw new UsageError(`Give dead-letters ${action} ids, or say by its options which fit; not both.`);
  if (ids.length === 0 && !isFiltered && !options.all)
    throw new UsageError(`Give dead-letters ${action} ids, or say by its options which fit, or --all.`);
  if (options.input !== undefined && ids.length !== 1) throw new UsageError("--input goes with one id.");
  const input = options.input === undefined ? undefined : parseJson("--input", options.input);
  return operate(settings, (millrace) =>
    ids.length > 0 ? each(millrace, action, ids, input, out) : many(millrace, action, filter, options.limit, out),
  );
}

async function each(
  { deadLetters }: Millrace,
  action: "replay" | "discard",
  ids: string[],
  input: unknown,
  out: Printer,
): Promise<void> {
  for (const id of ids) {
    if (action === "discard") {
      await deadLetters.discard(id);
      out.line({ id, discarded: true }, `dropped ${id}`);
    } else {
      const replayed = await deadLetters.replay(id, { input });
      out.line(replayed, `run ${replayed.run} goes on at ${replayed.step}`);
    }
  }
}

/** Follows the operation to its end. It goes on without this process, as long as a worker runs. */
async function many(
  { deadLetters }: Millrace,
  action: "replay" | "discard",
  filter: DeadLetterFilter,
  limit: number | undefined,
  out: Printer,
): Promise<void> {
  const act = action === "replay" ? deadLetters.replayMany : deadLetters.discardMany;
  let operation = await act.call(deadLetters, filter, limit === undefined ? {} : { limit });
  let stopped = false;
  const stop = askedToStop().then(() => {
    stopped = true;
  });
  while (operation.status === "running" && !stopped) {
    out.note(`${operation.done} so far; workers go on with operation ${operation.id}`);
    await Promise.race([stop, new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))]);
    operation = await deadLetters.operation(operation.id);
  }
  const verb = action === "replay" ? "replayed" : "dropped";
  out.result(operation, `${verb} ${operation.done} of ${operation.matched} that fit${stopped ? " so far" : ""}`);
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
