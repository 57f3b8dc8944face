import { DefinitionError } from "./errors.ts";
import { isWhole, type Step, type StepContext, type StepSettings } from "./step.ts";

/** How many runs, or elements, a handler takes at once, and for how long the first of them waits for the others. */
export interface Batching {
  /** 2 to 1,000; what a worker has slots for, if that is fewer. */
  readonly size: number;
  /** 0 to 60,000, less than `timeoutMs`, which it counts towards. */
  readonly waitMs: number;
}

/**
 * The work of a step for many runs at once. It gives a result for each input, in their order: an output, an Error, which is
 * the failure of that one alone, or a promise of either. What it throws fails all of them, each by its own retries.
 */
export type BatchHandler<I, R> = (inputs: I[], ctxs: StepContext[]) => readonly R[] | Promise<readonly R[]>;

export type BatchHandlerSource<I, R> =
  | { run: BatchHandler<I, R> }
  | { load: () => Promise<{ default: BatchHandler<I, R> }> };

/** How a step is put together with others for one call of its handler, if it is. */
export function batchingOf({ work }: Step): Batching | undefined {
  return "batch" in work ? work.batch : undefined;
}

/** @throws DefinitionError */
export function checkBatching(where: string, batching: Batching, settings: StepSettings): Batching {
  const { size, waitMs } = batching ?? {};
  const { concurrency, timeoutMs = 300_000 } = settings;
  if (!isWhole(size, 2, 1_000)) throw new DefinitionError(`${where}: size must be a whole number from 2 to 1000`);
  if (!(typeof waitMs === "number" && waitMs >= 0 && waitMs <= 60_000))
    throw new DefinitionError(`${where}: waitMs must be from 0 to 60000`);
  if (!(waitMs < timeoutMs)) throw new DefinitionError(`${where}: waitMs must be less than timeoutMs`);
  if (concurrency !== undefined && concurrency < size)
    throw new DefinitionError(`${where}: a concurrency of ${concurrency} leaves no room for a batch of ${size}`);
  return { size, waitMs };
}
