import { type AnyWorkflow, InvalidInputError, type Millrace } from "../engine/index.ts";
import { openConnection } from "./connection.ts";
import { UsageError } from "./errors.ts";
import { requireRedis, type Settings } from "./settings.ts";

/**
 * Does something over a connection of its own.
 *
 * @param workflows what it needs to know; most commands do without
 * @throws UsageError, for what does not fit a schema too; and what `connect` and `act` throw
 */
export async function operate(
  settings: Settings,
  act: (millrace: Millrace) => Promise<void>,
  workflows: readonly AnyWorkflow[] = [],
): Promise<void> {
  const { durability } = settings;
  const { millrace, close } = await openConnection(settings, requireRedis(settings), { workflows, durability });
  try {
    await act(millrace);
  } catch (error) {
    throw error instanceof InvalidInputError ? new UsageError(textOf(error), { cause: error }) : error;
  } finally {
    await close();
  }
}

/** Where it does not fit is said on lines of its own, unless the message says it already. */
function textOf({ message, issues }: InvalidInputError): string {
  const said = issues.filter((issue) => !message.includes(issue.message));
  return [message, ...said.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`)].join("\n");
}

/** Prints a value as indented JSON. */
export function print(value: unknown): void {
  console.log(JSON.stringify(value, undefined, 2));
}

/** @throws UsageError */
export function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${name} takes JSON: ${(cause as Error).message}`, { cause });
  }
}

/** @throws UsageError */
export function parseTime(name: string, text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime()))
    throw new UsageError(`${name} takes a time such as 2026-01-31T12:00:00Z, not ${JSON.stringify(text)}.`);
  return time;
}
