import type { BlobStore } from "./blobs/blob-store.ts";
import type { ConfigReader } from "./config-reader.ts";
import type { UsageReport } from "./usage.ts";

/** What a handler is given beside its input. Valid until the handler's promise settles. */
export interface StepContext {
  readonly run: { readonly id: string; readonly workflow: string; readonly version: number; readonly tenant: string };
  readonly step: string;
  /** Which element of a map, or which turn of a loop, from 0; undefined for a step that has no items. */
  readonly item: number | undefined;
  /** 1 for the first attempt; a worker that died counts as an attempt too. */
  readonly attempt: number;
  /**
   * Aborted when the run is cancelled or has failed otherwise, the lease is lost, the worker must stop or the attempt's time
   * is over: the `code` of its reason is `run_ended`, `lease_lost`, `interrupted` or `step_timeout`. After `run_ended` no
   * other attempt goes on with what this one has done, unless the run is replayed.
   */
  readonly signal: AbortSignal;
  /**
   * For a handler that computes for long without awaiting anything: awaited every now and then, it lets the process do what
   * else it must and renews the leases of all that the process holds, at most once a second.
   *
   * @throws what `signal` was aborted with, if it was: the lease is lost, the run cancelled, the time over
   */
  heartbeat(): Promise<void>;
  /** The same for every attempt of this step (or item, or undo) in this run. Hand it to services that take an Idempotency-Key. */
  readonly idempotencyKey: string;
  /** Different for every delivery, and never used again: for stores that refuse an older writer. */
  readonly fence: string;
  /**
   * Where the attempt is in its run's trace, as the header of that name of W3C Trace Context: for requests to services whose
   * client is not instrumented. Undefined if the run is of no trace.
   */
  readonly traceparent: string | undefined;
  /** The header that goes with it, if there is anything in it. */
  readonly tracestate: string | undefined;
  /** Documents and other large values. */
  readonly blobs: BlobStore;
  /** The settings that the worker was started with: its environment variables, in `millrace worker`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The configuration and the feature flags, as this process knows them now. A flag's unit is the run unless one is given. */
  readonly config: ConfigReader;
  readonly log: StepLog;
  /** Says how far the step is: `fraction` from 0 to 1. Coalesced to at most four events a second. */
  progress(fraction: number, message?: string): void;
  /** Sends a chunk of text, or any JSON value, to those who watch. Neighbouring chunks of text are joined. */
  emit(output: string | object): void;
  /** Says what the attempt has cost, for a step whose limits are in tokens. Adds up, and is charged when the attempt ends. */
  spend(tokens: number): void;
  /**
   * Calls `fn` once for all attempts of this step (or item) in this run: what it gave, as JSON holds it, is stored before
   * this returns and given again to every later attempt. What it throws is not remembered. An attempt that dies after `fn` is
   * done and before that is stored calls it again: give services the `idempotencyKey` too.
   *
   * @param name 1 to 200 characters, 1,000 names in a step or item; calls at the same time with one name are one call
   * @throws what `fn` throws; FatalError `bad_once`, `not_json`, `too_many_memos`; what `signal` was aborted with
   */
  once<T>(name: string, fn: () => T | Promise<T>): Promise<T>;
  /**
   * Says what was used since it was said last: whole tokens, and cost in a currency of your own, down to billionths. It is
   * summed per step, run, tenant and day, and for `key`, if there is one. Attempts that fail have used it too, and so has what
   * undoes a step; what is said once the lease is lost or the run has ended is not counted.
   *
   * @throws FatalError `bad_usage`
   */
  usage(used: UsageReport): void;
  /**
   * A result that this process may remember from another run: `millrace.invalidate(topic, subject)` drops it everywhere.
   * Whatever it depends on, the tenant too, belongs into `key`.
   */
  cached<T>(topic: string, subject: string, key: string): CachedResult<T>;
}

/** A result that this process may remember. */
export interface CachedResult<T> {
  /** Undefined if nothing is remembered. */
  readonly value: T | undefined;
  /** Remembers a value, which must survive JSON; not if the topic was invalidated since it was asked for. */
  keep(value: T): void;
}

/** Says something in the log, with the run, the step and the attempt beside it. */
export interface StepLog {
  debug(message: string, properties?: Record<string, unknown>): void;
  info(message: string, properties?: Record<string, unknown>): void;
  warn(message: string, properties?: Record<string, unknown>): void;
  error(message: string, properties?: Record<string, unknown>): void;
}
