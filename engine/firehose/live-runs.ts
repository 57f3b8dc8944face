import type { RunsApi } from "../millrace.ts";
import { LIVE } from "../store/firehose-store.ts";
import type { RunSummary } from "../views.ts";
import type { FeedFilter } from "./feed.ts";

/** A snapshot has so many runs. */
const SHOWN = 1_000;
/** So many pages are read for them: most runs may be of other workflows. */
const PAGES = 200;

/** Live runs, of each status the newest first; `more` if there may be others. */
export async function liveRuns(runs: RunsApi, filter: FeedFilter): Promise<{ runs: RunSummary[]; more: boolean }> {
  const { tenant, workflows = [undefined], tags } = filter;
  const found = new Map<string, RunSummary>();
  let pages = 0;
  for (const status of LIVE)
    for (const workflow of workflows) {
      let cursor: string | undefined;
      do {
        if (found.size >= SHOWN || pages >= PAGES) return { runs: [...found.values()].slice(0, SHOWN), more: true };
        pages += 1;
        const only = workflow === undefined ? {} : { workflow };
        const page = await runs.list({
          tenant,
          status,
          ...only,
          limit: 100,
          ...(cursor === undefined ? {} : { cursor }),
        });
        for (const run of page.data)
          if (tags === undefined || tags.some((tag) => run.tags?.includes(tag))) found.set(run.id, run);
        cursor = page.next;
      } while (cursor !== undefined);
    }
  return { runs: [...found.values()], more: false };
}
