import type { ErrorRecord } from "../errors.ts";
import type { RetryPolicy } from "../retry.ts";
import type { StepLog } from "../step.ts";
import type { Page, PageOptions } from "../views.ts";
import type { SubscribedEvent } from "./delivery.ts";
import type { SubscriptionOptions } from "./settings.ts";

/** What a handler of a subscription gets beside the event. */
export interface SubscriptionContext {
  readonly group: string;
  /** 1 for the first; failures and crashes count, interruptions do not. */
  readonly attempt: number;
  /** Aborts when the time is over, when another consumer has the event, or when the consumer stops. */
  readonly signal: AbortSignal;
  /** The same for every attempt with this event. */
  readonly idempotencyKey: string;
  readonly log: StepLog;
}

/** Handles one event. What it throws decides as in a step: `FatalError`, `RetryAfterError`, anything else is tried again. */
export type SubscriptionHandler = (event: SubscribedEvent, ctx: SubscriptionContext) => unknown;

/** Which events a consumer takes, and how it handles them. */
export interface SubscribeOptions extends SubscriptionOptions {
  /** How an event is tried again with which the handler failed. */
  retry?: Partial<RetryPolicy>;
  /** How many events this consumer has in hand at once. Default 1: a run's events come in order, but for those tried again. */
  concurrency?: number;
  /** How long the handler may take. Default 5 minutes. */
  timeoutMs?: number;
  /** How long an event is this consumer's without a heartbeat, in ms. Default 10,000. The same for workers and consumers. */
  leaseMs?: number;
  /** How long handlers may go on when the consumer is stopped, in ms. Default 10,000. */
  drainMs?: number;
}

/** A started consumer of a subscription. */
export interface SubscriptionConsumer {
  readonly group: string;
  /** Its name in the consumer group: unique for every start. */
  readonly id: string;
  /** How long ago a read last came back, in ms: a few seconds at most if all is well. */
  readonly silentMs: number;
  /** Takes nothing new, lets handlers finish for `drainMs`, and gives back what is left, uncharged. Idempotent. */
  stop(): Promise<void>;
}

/** A group of consumers with its figures. */
export interface SubscriptionView extends Required<Pick<SubscriptionOptions, "group" | "maxBytes">> {
  events: readonly string[];
  workflows?: readonly string[];
  steps?: readonly string[];
  tenant?: string;
  createdAt: string;
  /** Events that no consumer has in hand, that one has, that wait to be tried again, and that failed for good. */
  waiting: number;
  inHand: number;
  retrying: number;
  deadLetters: number;
  /** What the first three take, without those that wait to be tried again. */
  bytes: number;
  /** When the oldest event came that is waiting or in hand. */
  oldestAt?: string;
  consumers: number;
  /** It takes no events: too many bytes of them wait (`full`) or have failed for good (`dead_letters`), or its key is not ours. */
  paused?: { reason: "full" | "dead_letters" | "wrong_type"; since: string };
  /** The last time in which it took none. */
  gap?: { from: string; to: string };
}

/** An event that a subscription's handler failed with for good. */
export interface UndeliveredView {
  id: string;
  event: SubscribedEvent;
  attempts: number;
  error: ErrorRecord;
  at: string;
}

/** What operators do with subscriptions. */
export interface SubscriptionsApi {
  /**
   * Stores a subscription: it gets every event that is stored after this resolves, whether or not a consumer is there. The
   * same again changes nothing; other settings take the place of the old ones, for the events to come.
   *
   * @throws InvalidInputError; ConflictError `too_many_subscriptions`; UnavailableError
   */
  create(options: SubscriptionOptions): Promise<SubscriptionView>;
  /** By name. */
  list(): Promise<SubscriptionView[]>;
  /** @throws NotFoundError */
  get(group: string): Promise<SubscriptionView>;
  /** Removes it and all that it has not handled, dead letters included. @throws NotFoundError */
  delete(group: string): Promise<void>;
  /**
   * Lets a paused one take events again. What came meanwhile it has missed: `missed` says in which time.
   *
   * @throws NotFoundError; ConflictError `not_paused`, `still_full`
   */
  resume(group: string): Promise<{ missed: { from: string; to: string } }>;
  /** Newest first. @throws NotFoundError, InvalidInputError */
  deadLetters(group: string, options?: PageOptions): Promise<Page<UndeliveredView>>;
  /** Hands one over again, counted anew; without an id all that there are. How many. @throws NotFoundError */
  replay(group: string, id?: string): Promise<number>;
  /** Drops one; without an id all that there are. How many. @throws NotFoundError */
  discard(group: string, id?: string): Promise<number>;
}
