import type { BlobStore } from "./blobs/blob-store.ts";
import type { ConfigApi } from "./config.ts";
import type { SchedulesApi } from "./schedules/api.ts";
import type { Budget } from "./usage.ts";
import type { UsageQuery, UsageView } from "./usage-sums.ts";
import type {
  DeadLetterView,
  ItemView,
  Page,
  PageOptions,
  QueueView,
  RunStatus,
  RunSummary,
  RunView,
  StartedRun,
  WatchMessage,
} from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

export interface ConnectOptions {
  /** `redis://` or `rediss://`. */
  url: string;
  /** Everything is kept under this name in Redis. Default `millrace`. */
  namespace?: string;
  /** The definitions that this process knows. The newest version of each is the one that new runs start on. */
  workflows: readonly AnyWorkflow[];
  /** Where documents and large outputs live. Without one, an output above 32 KB fails its step. */
  blobs?: BlobStore;
}

export interface StartOptions {
  tenant?: string;
  /** Kept with the run and shown with it. */
  metadata?: Record<string, unknown>;
  /** How much the run may use, instead of what its definition says: past it, it fails with code `budget_exceeded`. */
  budget?: Budget;
  /**
   * Makes starting safe to repeat: the first call with this key in this scope makes the run, every later one gets it.
   * `digest` is of what was sent; the same key with another digest is a ConflictError `idempotency_mismatch`.
   */
  idempotency?: { scope: string; key: string; digest: string };
}

export interface Tenanted {
  tenant?: string;
}

/** What can be done with runs from outside. */
export interface RunsApi {
  /**
   * Checks the input against the workflow's schema and stores a run of its newest version.
   *
   * @throws NotFoundError for an unknown workflow, InvalidInputError, ConflictError, UnavailableError
   */
  start(workflow: string | AnyWorkflow, input: unknown, options?: StartOptions): Promise<StartedRun>;
  /** @throws NotFoundError, UnavailableError */
  get(id: string, options?: Tenanted): Promise<RunView>;
  /** The run without its input, output and steps. @throws NotFoundError, UnavailableError */
  summary(id: string, options?: Tenanted): Promise<RunSummary>;
  /** Newest first. @throws InvalidInputError for a bad cursor or limit, UnavailableError */
  list(options?: Tenanted & PageOptions & { workflow?: string; status?: RunStatus }): Promise<Page<RunSummary>>;
  /**
   * No step of the run is delivered any more; a handler at work sees its signal abort.
   *
   * @throws NotFoundError; ConflictError `run_ended` if it had ended otherwise. Cancelling twice is fine.
   */
  cancel(id: string, options?: Tenanted): Promise<void>;
  /**
   * Sends a signal to the step that waits for it by this name; kept until the step does. Twice with one `key` is once.
   *
   * @throws NotFoundError; InvalidInputError for data that the step's schema refuses; ConflictError `signal_settled` if
   *   another was sent before or the wait is over, `run_ended`
   */
  signal(id: string, name: string, data?: unknown, options?: Tenanted & { key?: string }): Promise<void>;
  /** The items of a map, or the turns of a loop so far, in order. @throws NotFoundError, InvalidInputError */
  items(id: string, step: string, options?: Tenanted & PageOptions): Promise<Page<ItemView>>;
}

/** What operators do with steps that failed for good. */
export interface DeadLettersApi {
  /** Newest first. @throws InvalidInputError, UnavailableError */
  list(options?: Tenanted & PageOptions & { workflow?: string; step?: string }): Promise<Page<DeadLetterView>>;
  /** The run goes on from the step that failed, its attempts counted anew. @throws NotFoundError */
  replay(id: string, options?: Tenanted): Promise<{ run: string; step: string }>;
  /** The run stays failed. @throws NotFoundError */
  discard(id: string, options?: Tenanted): Promise<void>;
}

/** A connection to Redis and all that can be done over it but run steps. Made by `connect()`. */
export interface Millrace {
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly blobs: BlobStore;
  readonly runs: RunsApi;
  readonly deadLetters: DeadLettersApi;
  readonly config: ConfigApi;
  /**
   * Has every process drop what it has cached of a topic (`models`), or of one subject in it (one model).
   *
   * @param topic 1 to 48 of `A-Z a-z 0-9 _ -`, but not `config`; 100 topics at the most, or a ConflictError `config_full`
   * @param subject 1 to 200 characters; without one, all of the topic
   * @throws InvalidInputError, UnavailableError
   */
  invalidate(topic: string, subject?: string): Promise<void>;
  /**
   * Calls `listener` whenever a topic was invalidated, by this process too: with the subject, or without one for all of the
   * topic, which is also what it is told where it may have missed something, in the beginning too.
   *
   * @returns stops it
   */
  onInvalidate(topic: string, listener: (subject: string | undefined) => unknown): () => void;
  readonly schedules: SchedulesApi;
  /** What a tenant has used in the last 92 days, or one of its keys. @throws InvalidInputError, UnavailableError */
  usage(query?: UsageQuery): Promise<UsageView>;
  /** Every step of every workflow version that was ever served here, in order. */
  queues(): Promise<QueueView[]>;
  /**
   * The events of a run after `after` (`SEQ` or a cursor; default: from the first), then live, each once and in order.
   * Ends after the run's last event, or when `signal` is aborted. Rides out lost connections by itself.
   *
   * @throws NotFoundError, before the first message; InvalidInputError for a bad `after`
   */
  watch(run: string, options?: Tenanted & { after?: string; signal?: AbortSignal }): AsyncGenerator<WatchMessage>;
  /** Resolves if Redis answers. @throws UnavailableError */
  ping(): Promise<void>;
  /** Ends every connection. Idempotent. */
  close(): Promise<void>;
}
