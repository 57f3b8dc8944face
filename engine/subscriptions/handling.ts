import { errorRecord, FatalError, MillraceError, UnavailableError } from "../errors.ts";
import { Interrupted, Unwanted } from "../interrupted.ts";
import { logger } from "../log.ts";
import { pauseMs, type RetryPolicy } from "../retry.ts";
import { type Ending, Reply, type SubscriptionStore } from "../store/subscription-store.ts";
import { decide } from "../transition.ts";
import type { Delivery } from "./delivery.ts";
import type { SubscriptionSettings } from "./settings.ts";
import type { SubscriptionHandler } from "./types.ts";

const log = logger("subscriptions");

const SETTLE_FROM_MS = 50;
const SETTLE_TO_MS = 1_000;

export interface HandlingOptions {
  store: SubscriptionStore;
  settings: SubscriptionSettings;
  consumer: string;
  handler: SubscriptionHandler;
  retry: RetryPolicy;
  timeoutMs: number;
  /** An event that took down so many consumers is not handed over any more. */
  crashes: number;
  /** Told when an event is to be tried again in so many ms. */
  onRetry(inMs: number): void;
}

/** One event in one consumer's hands: the handler at work with it, and then its end. */
export class Handling {
  readonly delivery: Delivery;
  /** Resolves when its end is stored, or is not this consumer's to store. Never rejects. */
  readonly ended: Promise<void>;
  readonly #options: HandlingOptions;
  readonly #abort = new AbortController();
  readonly #aborted = Promise.withResolvers<never>();
  #unwanted = false;
  #over = false;

  constructor(delivery: Delivery, options: HandlingOptions) {
    this.delivery = delivery;
    this.#options = options;
    this.#aborted.promise.catch(() => {});
    this.ended = this.#run().catch((error) => {
      const { group } = options.settings;
      log.error("the end of an event of subscription {group} was not stored: {error}", { group, error });
    });
  }

  /** Whether the handler is done, stored or not. */
  get over(): boolean {
    return this.#over;
  }

  /** Aborts the handler, which may not heed it: nobody waits for it any longer. */
  abort(reason: Error): void {
    if (reason instanceof Unwanted) this.#unwanted = true;
    this.#aborted.reject(reason);
    this.#abort.abort(reason);
  }

  async #run(): Promise<void> {
    const ending = await this.#handle();
    this.#over = true;
    if (ending !== undefined) await this.#settle(ending);
  }

  /** What it came to; undefined if it is another's by now. */
  async #handle(): Promise<Ending | undefined> {
    const { retry, timeoutMs, crashes } = this.#options;
    const { failures } = this.delivery;
    if (this.delivery.crashes >= crashes) return { kind: "dead", failures, error: errorRecord(crashed(crashes)) };
    const timer = setTimeout(() => this.abort(timedOut(timeoutMs)), timeoutMs);
    try {
      await Promise.race([this.#call(), this.#aborted.promise]);
      return { kind: "done", failures };
    } catch (error) {
      if (error instanceof Unwanted) return undefined;
      if (error instanceof Interrupted) return { kind: "release", failures };
      const next = decide(retry, { failures }, { kind: "threw", error }, Math.random());
      const record = errorRecord(error);
      if (next.kind === "retry") return { kind: "retry", failures: failures + 1, delayMs: next.delayMs };
      return { kind: "dead", failures: failures + 1, error: record };
    } finally {
      clearTimeout(timer);
    }
  }

  async #call(): Promise<void> {
    const { handler, settings } = this.#options;
    const { event, failures, crashes } = this.delivery;
    const { group } = settings;
    const idempotencyKey = `${group}:${event.run}:${event.cursor}`;
    const about = { group, run: event.run, type: event.type };
    await handler(event, {
      ...{ group, attempt: failures + crashes + 1, signal: this.#abort.signal, idempotencyKey },
      log: log.with(about),
    });
  }

  async #settle(ending: Ending): Promise<void> {
    const { store, consumer, settings, onRetry } = this.#options;
    const { group, maxBytes } = settings;
    const { run, seq } = this.delivery.event;
    if (ending.kind === "dead")
      log.error("subscription {group} gives up event {seq} of run {run}: {error}", { group, run, seq, ...ending });
    for (let tries = 0; !this.#unwanted; tries += 1) {
      try {
        const reply = await store.settle(group, consumer, this.delivery, ending, maxBytes);
        if (reply !== Reply.Done)
          log.warn("event {seq} of run {run} is not this consumer's any more", { group, run, seq });
        else if (ending.kind === "retry") onRetry(ending.delayMs);
        return;
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        log.warn("the end of event {seq} of run {run} is stored again: {error}", { group, run, seq, error });
        await new Promise((resolve) => setTimeout(resolve, pauseMs(tries, SETTLE_FROM_MS, SETTLE_TO_MS)));
      }
    }
  }
}

function timedOut(timeoutMs: number): MillraceError {
  return new MillraceError("handler_timeout", `The handler took longer than ${timeoutMs} ms.`);
}

function crashed(crashes: number): FatalError {
  return new FatalError(`The consumer that handled this event died ${crashes} times.`, { code: "handler_crashed" });
}
