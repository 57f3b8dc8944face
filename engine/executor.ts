import type { Attempt } from "./attempt.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { Committer } from "./committer.ts";
import { FatalError, MillraceError, UnavailableError } from "./errors.ts";
import { logger } from "./log.ts";
import { encodeValue, loadValue, storeValue } from "./payload.ts";
import { Reply, type Store } from "./store.ts";
import { decide, type Outcome, TimedOut, type Transition } from "./transition.ts";
import type { Handler } from "./workflow.ts";

const log = logger("executor");

/** The worker stops: the attempt is given back and starts again elsewhere, uncharged. */
export class Interrupted extends MillraceError {
  constructor() {
    super("interrupted", "The worker is stopping; this step will be run again elsewhere.");
  }
}

/** The lease is gone or the run has ended: whatever the handler comes to is not wanted any more. */
export class Unwanted extends MillraceError {
  constructor() {
    super("lease_lost", "This attempt's lease is gone: the run has ended or another has it.");
  }
}

/** Runs attempts: input in, handler, decision, commit. */
export class Executor {
  readonly #store: Store;
  readonly #blobs: BlobStore;
  readonly #committer: Committer;
  readonly #onTimer: (inMs: number) => void;
  readonly #handlers = new Map<object, Handler<unknown, unknown>>();
  #refused = 0;

  /** @param onTimer told when a timer was set, and in how many ms it is due */
  constructor(store: Store, blobs: BlobStore, committer: Committer, onTimer: (inMs: number) => void) {
    this.#store = store;
    this.#blobs = blobs;
    this.#committer = committer;
    this.#onTimer = onTimer;
  }

  /** How many ends of attempts came too late, and were refused. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Runs one attempt to its end. Never throws.
   *
   * @returns what Redis said of its end; undefined if it was not told, or did not say
   * @param settled called when the handler is done and its slot is free, before its end is stored
   */
  async run(attempt: Attempt, settled: () => void): Promise<Reply | undefined> {
    const { crashes, failures, stream } = attempt.entry;
    let outcome: Outcome;
    let output: string | undefined;
    try {
      if (crashes >= stream.step.crashes) outcome = { kind: "crashed", crashes };
      else {
        output = await untilAborted(this.#attempt(attempt), attempt, stream.step.timeoutMs);
        outcome = { kind: "completed" };
      }
    } catch (error) {
      if (error instanceof Unwanted) {
        attempt.close();
        settled();
        return undefined;
      }
      outcome = outcomeOf(error);
    }
    settled();
    const held = { step: stream.step.name, failures };
    return this.#report(attempt, decide(stream.graph, stream.step.retry, held, outcome, Math.random()), output);
  }

  /** The output as Redis holds it. */
  async #attempt(attempt: Attempt): Promise<string> {
    const { step } = attempt.entry.stream;
    const input = await this.#input(attempt);
    const handler = this.#handlers.get(step) ?? (await this.#load(attempt));
    if (attempt.aborted !== undefined) throw attempt.aborted;
    const output = await handler(input, attempt);
    if (attempt.aborted !== undefined) throw attempt.aborted;
    return storeValue(attempt.blobs, attempt.entry.tenant, attempt.step, encodeValue(output));
  }

  async #load(attempt: Attempt): Promise<Handler<unknown, unknown>> {
    const { step } = attempt.entry.stream;
    const handler = await step.load();
    this.#handlers.set(step, handler);
    return handler;
  }

  async #input({ entry }: Attempt): Promise<unknown> {
    if (entry.input !== "") return JSON.parse(entry.input);
    const stored = await this.#store.readInput(entry).catch((error: unknown) => {
      // The step has not begun: that Redis is away is none of its failures.
      throw error instanceof UnavailableError ? new Interrupted() : error;
    });
    if (stored === undefined) throw new FatalError("The input of this step is gone.", { code: "value_lost" });
    return loadValue(this.#blobs, entry.tenant, stored);
  }

  async #report(attempt: Attempt, transition: Transition, output: string | undefined): Promise<Reply | undefined> {
    const { run, id } = attempt.entry;
    if (transition.kind === "retry" || transition.kind === "dead")
      log.warn("{step} of run {run} failed, {next}: {message}", {
        step: attempt.step,
        run,
        next: transition.kind === "retry" ? "and is tried again" : "for good",
        message: transition.error.message,
        error: transition.error,
      });
    const end = output === undefined ? { transition } : { transition, output };
    const reply = await this.#committer.submit({ ...(await attempt.end()), end });
    if (reply === Reply.Done) {
      if (transition.kind === "retry") this.#onTimer(transition.delayMs);
    } else {
      if (reply !== undefined) this.#refused += 1;
      log.warn("the end of entry {id} of run {run} was refused: {reply}", { id, run, reply });
    }
    return reply;
  }
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Interrupted) return { kind: "interrupted" };
  if (error instanceof TimedOut) return { kind: "timed_out", timeoutMs: error.timeoutMs };
  return { kind: "threw", error };
}

/**
 * The attempt's result, or what aborted it: neither a handler that does not heed its signal nor a blob store that does not
 * answer holds up its slot.
 */
function untilAborted<T>(work: Promise<T>, attempt: Attempt, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => attempt.abort(new TimedOut(timeoutMs)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
    attempt.onAbort((reason) => {
      clearTimeout(timer);
      reject(reason);
    });
  });
}
