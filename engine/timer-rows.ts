/**
 * A member of the timers' sorted set. `retry` rows name the failure that they belong to, so that one that has outlived
 * its attempt is told from the current one; `forget` rows free an idempotency key.
 */
export type TimerRow =
  | { kind: "retry"; run: string; workflow: string; version: number; step: string; failures: number }
  | { kind: "forget"; tenant: string; hash: string };

/** No part of a row may hold the separator: ids and names cannot. */
export function encodeTimerRow(row: TimerRow): string {
  return row.kind === "retry"
    ? `retry|${row.run}|${row.workflow}|${row.version}|${row.step}|${row.failures}`
    : `forget|${row.tenant}|${row.hash}`;
}

/** Reads a row; undefined if it is none of ours. */
export function parseTimerRow(member: string): TimerRow | undefined {
  const [kind, ...parts] = member.split("|");
  if (kind === "retry" && parts.length === 5) {
    const [run, workflow, version, step, failures] = parts as [string, string, string, string, string];
    return { kind, run, workflow, version: Number(version), step, failures: Number(failures) };
  }
  if (kind === "forget" && parts.length === 2) return { kind, tenant: parts[0]!, hash: parts[1]! };
  return undefined;
}
