import { type Millrace, type StartedRun, UnconfirmedError } from "../../engine/index.ts";
import { counting } from "./counting.ts";

/** What became of starts that were each asked for under a key of their own. */
export interface Starts {
  confirmed: Map<string, StartedRun>;
  /** The errors of those that were not, by key. */
  unconfirmed: Map<string, UnconfirmedError>;
}

/** Starts a run for each key, all at once. @throws what a start throws that is not an UnconfirmedError */
export async function startAll(millrace: Millrace, keys: readonly string[]): Promise<Starts> {
  const starts: Starts = { confirmed: new Map(), unconfirmed: new Map() };
  const start = async (key: string) => {
    try {
      const idempotency = { scope: "starts", key, digest: key };
      starts.confirmed.set(key, await millrace.runs.start(counting, { n: 1 }, { idempotency }));
    } catch (error) {
      if (!(error instanceof UnconfirmedError)) throw error;
      starts.unconfirmed.set(key, error);
    }
  };
  await Promise.all(keys.map(start));
  return starts;
}

export function keysFrom(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

/** The ids of every run that there is. */
export async function allRuns(millrace: Millrace): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await millrace.runs.list({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== undefined);
  return ids;
}
