import { FsBlobStore } from "../engine/blobs/fs.ts";
import { connect, type Millrace } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { requireRedis, type Settings } from "./settings.ts";

/** Does something over a connection of its own. @throws UsageError, and what `connect` and `act` throw */
export async function operate(settings: Settings, act: (millrace: Millrace) => Promise<void>): Promise<void> {
  const { namespace, blobs } = settings;
  const url = requireRedis(settings);
  const millrace = await connect({ url, namespace, workflows: [], blobs: new FsBlobStore(blobs) });
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
