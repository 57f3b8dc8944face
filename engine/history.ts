import type { ErrorRecord } from "./errors.ts";
import { decodeEvent } from "./events.ts";
import type { RunRecord } from "./run-record.ts";
import type { Store } from "./store.ts";
import type { FailedAttempt } from "./views.ts";

/** So many attempts are shown, from so many of the run's last events. */
const ATTEMPTS = 10;
const PAGE = 200;
const PAGES = 10;

/** Whose attempts: a step's, or those of an item of it, or of its undo. */
interface AttemptsOf {
  step: string;
  item: number | undefined;
  undo: true | undefined;
}

/** The last attempts of a step that failed, the oldest first, as the run's log tells them. */
export async function historyOf(store: Store, run: RunRecord, of: AttemptsOf): Promise<FailedAttempt[]> {
  const first = Number(run.fields.trimmed ?? 0);
  const history: FailedAttempt[] = [];
  let end = first + run.logLength;
  for (let i = 0; i < PAGES && end > first; i++) {
    const after = Math.max(first, end - PAGE);
    const page = await store.readLog(run.id, after, undefined, end - after);
    // It was trimmed in the meantime, or the run is gone.
    if (!page.found || page.stale) break;
    for (const [k, line] of [...page.lines.entries()].reverse()) {
      const attempt = failedAttempt(run.id, after + k + 1, line, of);
      if (attempt === undefined) continue;
      history.unshift(attempt);
      if (history.length === ATTEMPTS) return history;
    }
    end = after;
  }
  return history;
}

/** Most lines are other events, some of them large: only those that can be an end of an attempt are decoded. */
function failedAttempt(run: string, seq: number, line: string, of: AttemptsOf): FailedAttempt | undefined {
  if (!/^\d+ \{"type":"step\.(?:retrying|failed)"/.test(line)) return undefined;
  const event = decodeEvent(run, seq, line);
  if (event.step !== of.step || event.item !== of.item) return undefined;
  const { error, retryAt, undo } = event.data as { error: ErrorRecord; retryAt?: string; undo?: true };
  if (undo !== of.undo) return undefined;
  const failed = { attempt: event.attempt ?? 0, at: event.at, error };
  return retryAt === undefined ? failed : { ...failed, retryAt };
}
