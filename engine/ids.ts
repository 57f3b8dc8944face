import { v7 as uuidv7 } from "uuid";
import { hexDigest } from "./digest.ts";

/** What every id that a client may send looks like. */
export const ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** Names of workflows and steps: they stand in keys and timer rows, so no separator of those may occur in them. */
export const NAME_PATTERN = /^[A-Za-z0-9_-]{1,48}$/;

/** A new run id in partition `p`: a time-ordered UUID (RFC 9562, version 7) without dashes, then the partition. */
export function newRunId(p: number): string {
  return `${newId()}-${p}`;
}

/**
 * A run id that the same parts give each time. It says so in the place of its version (RFC 9562, version 8: one's own), by
 * which scripts tell runs that something may wait for from those that were simply started.
 */
export async function derivedRunId(p: number, parts: readonly (string | number)[]): Promise<string> {
  const digest = await hexDigest("SHA-256", parts.join("\n"));
  return `${digest.slice(0, 12)}8${digest.slice(13, 32)}-${p}`;
}

/** A new id for anything that has no partition: documents and process names. */
export function newId(): string {
  return uuidv7().replaceAll("-", "");
}

/** The partition that a run's id, or a dead letter's, carries; undefined if it carries none. */
export function partitionOf(id: string): number | undefined {
  const match = /^[0-9a-f]{32}-([0-9]{1,5})(?:-|$)/.exec(id);
  return match === null ? undefined : Number(match[1]);
}

/** A dead letter's id: the run's, and the stream entry whose attempt was the last. */
export function deadLetterId(run: string, entry: string): string {
  return `${run}-${entry}`;
}

/** The run and the suffix of a dead letter's id; undefined if it is not one. */
export function parseDeadLetterId(id: string): { run: string; entry: string } | undefined {
  const match = /^([0-9a-f]{32}-[0-9]{1,5})-([0-9]{1,20}-[0-9]{1,20})$/.exec(id);
  return match === null ? undefined : { run: match[1]!, entry: match[2]! };
}
