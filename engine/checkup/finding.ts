import { MillraceError } from "../errors.ts";

/** What is looked at. */
export type CheckName =
  | "connection"
  | "version"
  | "namespace"
  | "eviction"
  | "memory"
  | "persistence"
  | "replicas"
  | "durability"
  | "latency"
  | "clock"
  | "rights"
  | "scripts"
  | "reads"
  | "channels"
  | "blobs";

/** What came of one check. `fail`: Millrace cannot work so, or not as it was asked to; `warn`: it works, and something may be lost. */
export interface Finding {
  check: CheckName;
  status: "ok" | "warn" | "fail";
  /** What is so. */
  found: string;
  /** What to do about it. */
  advice?: string;
}

export function ok(check: CheckName, found: string): Finding {
  return { check, status: "ok", found };
}

export function warn(check: CheckName, found: string, advice: string): Finding {
  return { check, status: "warn", found, advice };
}

export function fail(check: CheckName, found: string, advice: string): Finding {
  return { check, status: "fail", found, advice };
}

/** The finding of a look, or that the look failed. @param advice what to do then */
export async function looked(check: CheckName, look: () => Promise<Finding>, advice: string): Promise<Finding> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return fail(check, error instanceof MillraceError ? error.message : `${error.name}: ${error.message}`, advice);
  }
}

const WORSE = ["ok", "warn", "fail"];

/** Of the findings of several servers the worst, which says of where it is if not all are the same. */
export function worstOf(findings: readonly { address: string; finding: Finding }[]): Finding {
  const by = [...findings].sort((a, b) => WORSE.indexOf(b.finding.status) - WORSE.indexOf(a.finding.status));
  const { address, finding } = by[0]!;
  const isOfAll = by.every((other) => other.finding.found === finding.found);
  return isOfAll ? finding : { ...finding, found: `${finding.found} (${address})` };
}
