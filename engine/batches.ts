import type { Attempt } from "./attempt.ts";
import type { BatchHandler, Batching } from "./batching.ts";
import { isOnLastChance } from "./entry.ts";
import { FatalError } from "./errors.ts";
import type { Step } from "./step.ts";
import { inSpanOf } from "./tracing.ts";

type AnyBatchHandler = BatchHandler<unknown, unknown>;

/** An attempt that waits for others of its step. */
interface Waiting {
  readonly attempt: Attempt;
  readonly input: unknown;
  resolve(output: unknown): void;
  reject(error: unknown): void;
}

/** Attempts that are put together for the next call of their step's handler. */
interface Open {
  readonly handler: AnyBatchHandler;
  waiting: Waiting[];
  readonly timer: ReturnType<typeof setTimeout>;
}

/**
 * Calls the handlers of steps that take many runs at once: when as many attempts wait as fit in, when the first of them has
 * waited for long enough, or when no more can come. Everything else about an attempt stays its own.
 */
export class Batches {
  readonly #concurrency: number;
  readonly #open = new Map<Step, Open>();
  #closed = false;

  /** @param concurrency how many attempts this worker has at once */
  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** What the handler makes of one attempt's input. Rejects with what the handler throws, or with its result if that is an Error. */
  result(attempt: Attempt, input: unknown, handler: AnyBatchHandler, { size, waitMs }: Batching): Promise<unknown> {
    const { step } = attempt.entry.stream;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const waiting = { attempt, input, resolve, reject };
    if (isOnLastChance(attempt.entry)) {
      // What may take down the worker once more does so alone: the others are not charged for it.
      void call(handler, [waiting]);
      return promise;
    }
    let open = this.#open.get(step);
    if (open === undefined) {
      open = { handler, waiting: [], timer: setTimeout(() => this.#flush(step), waitMs) };
      this.#open.set(step, open);
    }
    open.waiting.push(waiting);
    // More than there are slots for cannot come.
    const most = Math.min(size, step.concurrency ?? size, this.#concurrency);
    if (open.waiting.length >= most) open.waiting = wanted(open.waiting);
    if (this.#closed || open.waiting.length >= most) this.#flush(step);
    return promise;
  }

  /** Nothing more is read: what waits is called with now, and what still comes is not held up. */
  close(): void {
    this.#closed = true;
    for (const step of [...this.#open.keys()]) this.#flush(step);
  }

  #flush(step: Step): void {
    const open = this.#open.get(step);
    if (open === undefined) return;
    this.#open.delete(step);
    clearTimeout(open.timer);
    const waiting = wanted(open.waiting);
    if (waiting.length > 0) void call(open.handler, waiting);
  }
}

/** Those whose attempt has not been aborted while it waited. */
function wanted(waiting: readonly Waiting[]): Waiting[] {
  return waiting.filter(({ attempt, reject }) => {
    if (attempt.aborted !== undefined) reject(attempt.aborted);
    return attempt.aborted === undefined;
  });
}

async function call(handler: AnyBatchHandler, waiting: readonly Waiting[]): Promise<void> {
  let results: readonly unknown[];
  try {
    const attempts = waiting.map(({ attempt }) => attempt);
    const inputs = waiting.map(({ input }) => input);
    results = await inSpanOf(attempts, () => handler(inputs, attempts));
    if (!Array.isArray(results) || results.length !== waiting.length) throw unmatched(results, waiting.length);
  } catch (error) {
    for (const { reject } of waiting) reject(error);
    return;
  }
  for (const [i, { resolve, reject }] of waiting.entries())
    Promise.resolve(results[i]).then((result) => (result instanceof Error ? reject(result) : resolve(result)), reject);
}

function unmatched(results: unknown, wanted: number): FatalError {
  const given = Array.isArray(results) ? `${results.length}` : "no list of";
  return new FatalError(`A batch of ${wanted} must give as many results, not ${given}.`, { code: "batch_results" });
}
