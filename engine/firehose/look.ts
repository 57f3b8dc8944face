import type { FirehoseStore, RunInfo } from "../store/firehose-store.ts";
import { ENDED, LIVE } from "../store/firehose-store.ts";
import type { Store } from "../store.ts";
import type { Position } from "./position.ts";

/** With more runs than this to look at, a watcher begins anew. */
export const LOOKED_AT = 50_000;
const PAGE = 500;

/**
 * The runs of a tenant that have events of later than a watcher's place: those that were live then, and those that came since,
 * and it may be some others. In parts.
 *
 * @throws UnavailableError
 */
export async function* changedSince(
  store: Store,
  firehose: FirehoseStore,
  tenant: string,
  position: Position,
): AsyncGenerator<RunInfo[]> {
  const { time, live } = position;
  const seen = new Set<string>();
  for (const keys of store.allPartitions) {
    // A run may move to and fro between these while they are read; its way from one to another and on is told, or found by its end.
    for (const status of ["queued", "waiting", "running", "waiting", "queued", ...ENDED]) {
      const isLive = LIVE.some((each) => each === status);
      let from = isLive ? 0 : live.from;
      for (let count = PAGE; ; ) {
        const page = await firehose.page(keys.runsByStatus(tenant, status), from, count);
        const fresh = page.map(([run]) => run).filter((run) => !seen.has(run));
        for (const run of fresh) seen.add(run);
        yield await firehose.changed(keys, fresh, time);
        if (page.length < count) break;
        const last = page[page.length - 1]![1];
        // More of one time than a page has.
        if (last === from) count *= 2;
        from = last;
      }
    }
  }
  const named = position.named.filter((run) => !seen.has(run));
  for (const keys of store.allPartitions) {
    const mine = named.filter((run) => store.partitionKeys(run) === keys);
    yield (await firehose.changed(keys, mine, time)).filter((info) => info.tenant === tenant);
  }
}
