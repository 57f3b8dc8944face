import type { PartitionKeys } from "../keys.ts";
import type { FirehoseStore, RunEnd, RunInfo } from "../store/firehose-store.ts";
import type { Store } from "../store.ts";

/** With more runs than this to look at, a watcher begins anew. */
export const LOOKED_AT = 50_000;
const PAGE = 500;
/** A run may move to and fro between these while they are read; its way from one to another and on is told, or found by its end. */
const ORDER = ["queued", "waiting", "running", "waiting", "queued"] as const;

/** Of runs that have events of later than some time. */
export interface Changed {
  found: RunInfo[];
  /** Ends of runs that are gone. */
  gone: RunEnd[];
}

/**
 * The runs of a tenant that have events of later than a time: whatever they did before, they are live, or have ended since. In parts;
 * undefined if not all of them are known any more.
 *
 * @throws UnavailableError
 */
export async function* changedSince(
  store: Store,
  firehose: FirehoseStore,
  tenant: string,
  time: number,
): AsyncGenerator<Changed | undefined> {
  for (const keys of store.allPartitions) {
    for await (const found of live(firehose, keys, tenant, time)) yield { found, gone: [] };
    yield* ended(firehose, keys, tenant, time);
  }
}

async function* live(
  firehose: FirehoseStore,
  keys: PartitionKeys,
  tenant: string,
  time: number,
): AsyncGenerator<RunInfo[]> {
  const seen = new Set<string>();
  for (const status of ORDER) {
    let from = 0;
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

async function* ended(
  firehose: FirehoseStore,
  keys: PartitionKeys,
  tenant: string,
  time: number,
): AsyncGenerator<Changed | undefined> {
  for (let at = 0; ; at += PAGE) {
    const page = await firehose.ends(keys, tenant, time, at, PAGE);
    if (page === undefined) return yield undefined;
    const infos = await firehose.infos([...new Set(page.ends.map(({ run }) => run))]);
    const there = new Set(infos.map(({ run }) => run));
    yield { found: infos, gone: page.ends.filter(({ run }) => !there.has(run)) };
    if (page.ends.length < PAGE) return;
  }
}
