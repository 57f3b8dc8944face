import type { Attempt } from "./attempt.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { Commits } from "./committer.ts";
import type { Config } from "./config.ts";
import type { Memory } from "./memos.ts";
import type { ResultCache } from "./result-cache.ts";

/** What every attempt of a worker shares. */
export interface AttemptSetting {
  committer: Commits;
  blobs: BlobStore;
  env: Readonly<Record<string, string | undefined>>;
  config: Config;
  cache: ResultCache;
  memory: Memory;
  /** Renews the leases of this worker. */
  beat(): Promise<void>;
  /** Called when the step is at work, so that its start is told soon, if not by its end. */
  atWork(attempt: Attempt): void;
  /** Called when the commit of an attempt's events was refused. */
  lost(attempt: Attempt): Promise<void>;
}
