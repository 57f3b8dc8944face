import { type AnyWorkflow, connect, type Millrace } from "../engine/index.ts";
import { openConnection } from "./connection.ts";
import { UsageError } from "./errors.ts";
import { requireRedis, type Settings } from "./settings.ts";

/**
 * Does something over a connection of its own.
 *
 * @param workflows what it needs to know; most commands do without
 * @throws UsageError, and what `connect` and `act` throw
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
  } finally {
    await close();
  }
}

/** The same for what touches no run and no document: it needs no blob store. @throws as `operate` */
export async function connected(settings: Settings, act: (millrace: Millrace) => Promise<void>): Promise<void> {
  const millrace = await connect({ url: requireRedis(settings), namespace: settings.namespace, workflows: [] });
  try {
    await act(millrace);
  } finally {
    await millrace.close();
  }
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
