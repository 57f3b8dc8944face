import type { WorkerObserver } from "./worker-observer.ts";

/** How a worker is set. */
export interface WorkerOptions {
  /** How many attempts this process runs at once. Default 32. */
  concurrency?: number;
  /** Which steps it serves. Default: every step of every workflow. */
  steps?: (workflow: string, step: string) => boolean;
  /** What handlers find in `ctx.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** How long an attempt is this worker's without a heartbeat, in ms. Default 10,000. The same for all workers. */
  leaseMs?: number;
  /** How long handlers may go on when the worker is stopped, in ms. Default 10,000. */
  drainMs?: number;
  /** Whether it looks for steps that are lost, and puts them back. Default true: somebody has to. */
  reconcile?: boolean;
  /** Is told of attempts, refused ends and what is taken over. Default: nobody is, which costs nothing. */
  observer?: WorkerObserver;
}
