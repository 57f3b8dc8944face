import type { Attempt } from "./attempt.ts";
import type { CommitItem } from "./commit-args.ts";
import type { Commits } from "./committer.ts";
import { type Entry, isUndo } from "./entry.ts";
import { Interrupted, Unwanted } from "./interrupted.ts";
import { logger } from "./log.ts";
import { type Parts, perform } from "./perform.ts";
import { Reply } from "./store.ts";
import { beginAttempt, endAttempt, inSpan, outcomeName } from "./tracing.ts";
import { decide, type Outcome, TimedOut, type Transition } from "./transition.ts";
import { type ObservedStep, tell, type WorkerObserver } from "./worker-observer.ts";

const log = logger("executor");

/** Runs attempts: input in, handler, decision, commit. */
export class Executor {
  readonly #parts: Parts;
  readonly #committer: Commits;
  readonly #onTimer: (entry: Entry, inMs: number) => void;
  readonly #observer: WorkerObserver | undefined;
  #refused = 0;

  /**
   * @param onTimer told when a timer was set, by what, and in how many ms it is due
   * @param observer told of every attempt
   */
  constructor(
    parts: Parts,
    committer: Commits,
    onTimer: (entry: Entry, inMs: number) => void,
    observer?: WorkerObserver,
  ) {
    this.#observer = observer;
    this.#parts = parts;
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
    const beganAt = this.#observer && performance.now();
    const span = beginAttempt(attempt);
    attempt.span = span;
    let outcome: Outcome;
    try {
      if (crashes >= stream.step.crashes) outcome = { kind: "crashed", crashes };
      else
        outcome = await untilAborted(
          inSpan(span, () => perform(attempt, this.#parts)),
          attempt,
          stream.step.timeoutMs,
        );
    } catch (error) {
      if (error instanceof Unwanted) {
        attempt.close();
        settled();
        endAttempt(span, undefined);
        return undefined;
      }
      outcome = outcomeOf(error);
    }
    settled();
    const held = { failures, collects: collects(attempt.entry) };
    const policy = isUndo(attempt.entry) ? stream.step.undo!.retry : stream.step.retry;
    const end = decide(policy, held, outcome, Math.random());
    endAttempt(span, end);
    if (beganAt !== undefined)
      tell(this.#observer, "attempted", stepOf(attempt), outcomeName(end), (performance.now() - beganAt) / 1_000);
    return this.#report(attempt, end);
  }

  async #report(attempt: Attempt, end: Transition): Promise<Reply | undefined> {
    const { run, id } = attempt.entry;
    if (end.kind === "retry" || end.kind === "dead" || end.kind === "collect")
      log.warn("{step} of run {run} failed, {next}: {message}", {
        step: isUndo(attempt.entry) ? `the undo of ${attempt.step}` : attempt.step,
        run,
        next: end.kind === "retry" ? "and is tried again" : "for good",
        message: end.error.message,
        error: end.error,
      });
    const item: CommitItem = await attempt.end();
    item.end = end;
    const reply = await this.#committer.submit(item);
    if (reply === Reply.Done) {
      const inMs = timerOf(end);
      if (inMs !== undefined) this.#onTimer(attempt.entry, inMs);
    } else {
      if (reply !== undefined) {
        this.#refused += 1;
        tell(this.#observer, "refused", stepOf(attempt));
      }
      log.warn("the end of entry {id} of run {run} was refused: {reply}", { id, run, reply });
    }
    return reply;
  }
}

function stepOf({ entry: { stream }, step }: Attempt): ObservedStep {
  const { workflow, version } = stream.graph;
  return { workflow, version, step };
}

/** In how many ms the timer that an end sets is due, if it sets one and says so. */
function timerOf(end: Transition): number | undefined {
  if (end.kind === "retry") return end.delayMs;
  if (end.kind !== "park") return undefined;
  if (end.parking.reason === "signal") return end.parking.timeoutMs;
  return "delayMs" in end.parking ? end.parking.delayMs : undefined;
}

function collects({ item, stream: { step } }: Entry): boolean {
  return item !== undefined && step.work.kind === "map" && step.work.onItemFailure === "collect";
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Interrupted) return { kind: "interrupted" };
  if (error instanceof TimedOut) return { kind: "timed_out", timeoutMs: error.timeoutMs };
  return { kind: "threw", error };
}

/**
 * What the attempt came to, or what aborted it: neither a handler that does not heed its signal nor a blob store that does
 * not answer holds up its slot.
 */
function untilAborted<T>(work: Promise<T>, attempt: Attempt, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => attempt.abort(new TimedOut(timeoutMs)), timeoutMs);
    const fail = (reason: unknown) => {
      clearTimeout(timer);
      reject(reason);
    };
    work.then((value) => {
      clearTimeout(timer);
      resolve(value);
    }, fail);
    attempt.onAbort(fail);
  });
}
