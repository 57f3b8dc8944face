/**
 * The parts of a member of the timers' sorted set, after its kind. A `wake` row puts a step, or an item of it, back into
 * its stream; the entry that it names is the one whose end set it (or the child run that it waits for), so that a row that
 * has outlived its attempt is told from the current one. A `forget` row frees an idempotency key, a `lapse` row a
 * deduplication's key once its run has ended. An `expire` row looks whether a run has kept its `limit`, `ttl` or `deadline`. A `usage`
 * row drops what a key has used, `TENANT:KEY` with its `%` and `|` as in a URL, once that is too old to be shown. A `key` row removes an
 * API key some time after its end, a `ticket` row a ticket that nobody has redeemed.
 */
const SCRIPTED = {
  wake: ["reason", "tenant", "run", "workflow", "version", "step", "item", "entry"],
  forget: ["tenant", "hash"],
  lapse: ["tenant", "hash", "run"],
  expire: ["run", "workflow", "version", "limit"],
  usage: ["of"],
  key: ["tenant", "id"],
  ticket: ["hash"],
} as const;

/** The reason of a `wake` row that stands for what a tenant's pause has parked; behind a `:` what had woken the step. */
export const PARKED = "parked";

/** Rows that stand for work larger than a script: a continuation does a bounded part of it at a time. */
const CONTINUED = {
  /** Has a schedule looked at; it names the generation that armed it. */
  tick: ["tenant", "name", "generation"],
  /** Ends a child run with its parent. */
  cancel: ["tenant", "run"],
  /** Starts what waits at a gate for a time. */
  gate: ["workflow", "version", "step"],
  /** Puts back what a pause of the tenant has parked. */
  unpark: ["tenant"],
  /** Ends a run that an `expire` row has found live past its limit. */
  overdue: ["run", "workflow", "version", "limit"],
  /** Stands for the items (`STEP:CHUNKS`, joined by `,`) and the blobs of a run that is gone. */
  delete: ["tenant", "run", "items"],
  /** Stands for work on many dead letters. */
  bulk: ["operation"],
} as const;

const PARTS: Record<string, readonly string[]> = { ...SCRIPTED, ...CONTINUED };

type RowsOf<Kinds extends Record<string, readonly string[]>> = {
  [K in keyof Kinds & string]: { kind: K } & Record<Kinds[K][number], string>;
}[keyof Kinds & string];

/** A row that the script `promote` carries out by itself. */
export type ScriptedRow = RowsOf<typeof SCRIPTED>;
/** A row that a continuation carries out. */
export type ContinuedRow = RowsOf<typeof CONTINUED>;
export type TimerRow = ScriptedRow | ContinuedRow;

export function isScripted(row: TimerRow): row is ScriptedRow {
  return row.kind in SCRIPTED;
}

/** No part of a row may hold the separator: ids and names cannot. */
export function encodeTimerRow(row: TimerRow): string {
  const parts = row as unknown as Record<string, string>;
  return [row.kind, ...PARTS[row.kind]!.map((part) => parts[part])].join("|");
}

/** Reads a row; undefined if it is none of ours. */
export function parseTimerRow(member: string): TimerRow | undefined {
  const [kind = "", ...values] = member.split("|");
  const names = Object.hasOwn(PARTS, kind) ? PARTS[kind]! : undefined;
  if (names === undefined || names.length !== values.length) return undefined;
  return { kind, ...Object.fromEntries(names.map((name, i) => [name, values[i]])) } as unknown as TimerRow;
}
