import type { AccessApi } from "./access/api.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { Collection } from "./collections.ts";
import type { ConfigApi } from "./config.ts";
import type { DeadLettersApi } from "./dead-letters-api.ts";
import type { DurabilityOption } from "./durability.ts";
import type { Following, Take } from "./follow.ts";
import type { WorkerView } from "./read-health.ts";
import type { CredentialsProvider } from "./redis/credentials.ts";
import type { RequestsApi } from "./requests.ts";
import type { SchedulesApi } from "./schedules/api.ts";
import type { StartTerms } from "./start-options.ts";
import type {
  SubscribeOptions,
  SubscriptionConsumer,
  SubscriptionHandler,
  SubscriptionsApi,
} from "./subscriptions/types.ts";
import type { TraceContext } from "./trace-context.ts";
import type { UploadsApi } from "./uploads/types.ts";
import type { UsageQuery, UsageView } from "./usage-sums.ts";
import type { VersionsApi } from "./versions-api.ts";
import type {
  ItemView,
  Page,
  PageOptions,
  Pausable,
  PausedView,
  Priority,
  QueueView,
  RunStatus,
  RunSummary,
  RunView,
  StartedRun,
  StreamMessage,
  WatchMessage,
} from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** Which Redis, which workflows, and how they are used. */
export interface ConnectOptions {
  /** `redis://` or `rediss://`, with one server or several, or `redis+sentinel://`. */
  url: string;
  /** Says with what to sign in, instead of what stands in the URL: for passwords and tokens that change. */
  credentials?: CredentialsProvider;
  /** Everything is kept under this name in Redis. Default `millrace`. */
  namespace?: string;
  /**
   * How many partitions the namespace has: each is served by one node of a Redis Cluster. Settled by whoever opens it first;
   * 1 to 1024. Default 16 on a cluster, else 1.
   */
  partitions?: number;
  /** The definitions that this process knows. The newest version of each is the one that new runs start on. */
  workflows: readonly AnyWorkflow[];
  /**
   * How well a run is stored before its start is answered: else that throws an UnconfirmedError. Default: as the server does
   * without waiting, `disk` where it fsyncs each write before it replies.
   */
  durability?: DurabilityOption;
  /** Where documents and large outputs live. Without one, an output above 32 KB fails its step. */
  blobs?: BlobStore;
}

/**
 * Where the caller is in a trace, as W3C Trace Context has it: the attempts of the run are in that trace then. An invalid
 * `traceparent` is no trace. Default: the span that is active, where an OpenTelemetry SDK is registered; else none.
 */
export type Traced = Partial<TraceContext>;

/** How a run is started, whose it is, and how it is found. */
export interface StartOptions extends StartTerms, Traced {
  tenant?: string;
  /** Kept with the run and shown with it. */
  metadata?: Record<string, unknown>;
  /** How soon its steps are read where much waits; the lower ones have their share all the same. Default normal. */
  priority?: Priority;
  /**
   * Makes starting safe to repeat: the first call with this key in this scope makes the run, every later one gets it.
   * `digest` is of what was sent; the same key with another digest is a ConflictError `idempotency_mismatch`.
   */
  idempotency?: { scope: string; key: string; digest: string };
}

/** From where an ended run is run anew, and with what. */
export interface RerunOptions extends Traced {
  /** The step to begin from: it and all that comes after it is run anew. */
  from: string;
  /** What that step is given, instead of what it was. */
  input?: unknown;
  /** On the newest version of the workflow, with what steps of the same name had come to. Default: on its own. */
  newest?: boolean;
  /** As for `start`. */
  idempotency?: StartOptions["idempotency"];
}

/** Which runs are watched together, and from where. */
export interface WatchAllOptions {
  tenant?: string;
  /** Only runs of one of these. */
  workflows?: readonly string[];
  /** Only runs that have one of these. */
  tags?: readonly string[];
  /** A cursor of an earlier `watchAll` with the same options. Default: from now on. */
  after?: string;
  /** Without `after`, begins with the runs that are live. */
  snapshot?: boolean;
  signal?: AbortSignal;
}

/** Whose something is. Default: the tenant `default`. */
export interface Tenanted {
  tenant?: string;
}

/** Which runs to list: those that fit all of it. */
export interface RunFilter {
  workflow?: string;
  status?: RunStatus;
  tag?: string;
}

/** What can be done with runs from outside. */
export interface RunsApi {
  /**
   * Checks the input against the workflow's schema and stores a run of its newest version.
   *
   * @throws NotFoundError for an unknown workflow, InvalidInputError, ConflictError, UnavailableError, UnconfirmedError
   */
  start(workflow: string | AnyWorkflow, input: unknown, options?: StartOptions): Promise<StartedRun>;
  /** @throws NotFoundError, UnavailableError */
  get(id: string, options?: Tenanted): Promise<RunView>;
  /** The run without its input, output and steps. @throws NotFoundError, UnavailableError */
  summary(id: string, options?: Tenanted): Promise<RunSummary>;
  /** Newest first. @throws InvalidInputError for a bad cursor or limit, UnavailableError */
  list(options?: Tenanted & PageOptions & RunFilter): Promise<Page<RunSummary>>;
  /**
   * No step of the run is delivered any more; a handler at work sees its signal abort. Completed steps with an undo are
   * undone, the last one first, and then the run is cancelled.
   *
   * @throws NotFoundError; ConflictError `run_ended` if it had ended otherwise. Cancelling twice is fine.
   */
  cancel(id: string, options?: Tenanted): Promise<void>;
  /**
   * Sends a signal to the step that waits for it by this name; kept until the step does. Twice with one `key` is once. It
   * brings what JSON makes of `data`, null without any, and that is what the step's schema is to take.
   *
   * @throws NotFoundError; InvalidInputError for data that the step's schema refuses; ConflictError `signal_settled` if
   *   another was sent before or the wait is over, `run_ended`
   */
  signal(id: string, name: string, data?: unknown, options?: Tenanted & { key?: string }): Promise<void>;
  /** The items of a map, or the turns of a loop so far, in order. @throws NotFoundError, InvalidInputError */
  items(id: string, step: string, options?: Tenanted & PageOptions): Promise<Page<ItemView>>;
  /**
   * Removes an ended run with its events, its dead letters and what it has in the blob store: its large values and what
   * its handlers have put there. Documents that were uploaded stay.
   *
   * @throws NotFoundError; ConflictError `run_live` if it has not ended, `run_awaited` if it is a child run whose parent has
   *   yet to read what it came to
   */
  delete(id: string, options?: Tenanted): Promise<void>;
  /**
   * Starts a new run with the input of an ended one and what its steps had come to, but for the step `from` and what comes
   * after it: these are run anew. Its metadata are those of the first, and `rerunOf`, its id.
   *
   * @throws NotFoundError; ConflictError `run_live` if that has not ended, `step_not_reached` if a step before `from` had
   *   not completed, `version_retired` if its version is; InvalidInputError
   */
  rerun(id: string, options: Tenanted & RerunOptions): Promise<StartedRun>;
}

/** What operators do with work that must wait for a while. */
export interface PausesApi {
  /**
   * Of a workflow or a step, no attempt starts any more: what is queued stays so, what is at work goes on. A tenant's
   * steps are parked as they come up. Nothing is charged an attempt. Pausing twice is fine.
   *
   * @throws NotFoundError for an unknown workflow or step, InvalidInputError for a bad tenant, UnavailableError
   */
  pause(what: Pausable): Promise<void>;
  /** Ends that pause, and no other: a step stays paused with its workflow. @throws as `pause` */
  resume(what: Pausable): Promise<void>;
  /** @throws UnavailableError */
  paused(): Promise<PausedView[]>;
}

/** A connection to Redis and all that can be done over it but run steps. Made by `connect()`. */
export interface Millrace extends PausesApi, VersionsApi {
  readonly workflows: ReadonlyMap<string, AnyWorkflow>;
  readonly blobs: BlobStore;
  /** Documents that come in parts: what the gateway's resumable uploads stand on. */
  readonly uploads: UploadsApi;
  /** Requests of clients with idempotency keys: what the gateway keeps of those that make more than runs. */
  readonly requests: RequestsApi;
  readonly runs: RunsApi;
  readonly deadLetters: DeadLettersApi;
  /** API keys, tickets and limits: who may use all this from outside, and how much. */
  readonly access: AccessApi;
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
  /** Records by id that what is built on this keeps. @param name 1 to 48 of `A-Z a-z 0-9 _ -` @throws MillraceError `bad_option` */
  collection(name: string): Collection;
  readonly subscriptions: SubscriptionsApi;
  /**
   * Stores a subscription as `subscriptions.create` does and starts a consumer of it. Each event that is stored after this
   * resolves is handed to one consumer of each group that takes it, at least once; what the handler fails with for good
   * becomes a dead letter of the group. Consumers of a group share its events; with a concurrency of 1 a lone one gets those
   * of a run in order, but for those tried again.
   *
   * @throws InvalidInputError, DefinitionError for a bad `retry`, MillraceError `bad_option`; ConflictError
   *   `too_many_subscriptions`; UnavailableError
   */
  subscribe(options: SubscribeOptions, handler: SubscriptionHandler): Promise<SubscriptionConsumer>;
  readonly schedules: SchedulesApi;
  /** What a tenant has used in the last 92 days, or one of its keys. @throws InvalidInputError, UnavailableError */
  usage(query?: UsageQuery): Promise<UsageView>;
  /** Every step of every workflow version that was ever served here, in order. */
  queues(): Promise<QueueView[]>;
  /** Workers and consumers of subscriptions that are listed, by id; those that were not stopped are until others find them dead. */
  workers(): Promise<WorkerView[]>;
  /**
   * The events of a run after `after` (`SEQ` or a cursor; default: from the first), then live, each once and in order.
   * Ends after the run's last event, or when `signal` is aborted. Rides out lost connections by itself.
   *
   * @throws NotFoundError, before the first message; InvalidInputError for a bad `after`
   */
  watch(run: string, options?: Tenanted & { after?: string; signal?: AbortSignal }): AsyncGenerator<WatchMessage>;
  /**
   * The same, given to `take` as they come, for those who serve many watchers: an event costs no more than the call. What is
   * not taken waits in the log.
   *
   * @throws InvalidInputError for a bad `after`
   */
  follow(run: string, options: Tenanted & { after?: string | undefined; take: Take }): Following;
  /**
   * The events of all runs of a tenant, those that start meanwhile too: of each run once and in order. About once a second
   * comes a cursor, after which another call goes on: with all that came after it, some of which may have been told
   * behind it; the run and the number tell. Where more than 50,000 runs are live or came since a run that was, or the cursor is
   * of a time to come, that begins anew instead, with a `reset` of all that is live; where the log of a run does not reach
   * back, with a `reset` of that run. Rides out lost connections by itself, likewise. Its events are shared, and frozen.
   *
   * @throws InvalidInputError for a bad `after`; SlowWatcherError if 4 MB were not taken
   */
  watchAll(options?: WatchAllOptions): AsyncGenerator<StreamMessage>;
  /**
   * Calls `listener` whenever what is published can no longer be heard (`false`), because the connection to Redis is lost, and
   * when it is heard again (`true`); at once if it is lost just now. Watchers tell all the same what came meanwhile.
   *
   * @returns stops it
   */
  onConnection(listener: (isConnected: boolean) => void): () => void;
  /** Whether what is published is heard; not so if for 10 s what this process publishes to itself was not. */
  hears(): boolean;
  /** Resolves if Redis answers. @throws UnavailableError */
  ping(): Promise<void>;
  /** Stops the consumers of subscriptions and ends every connection. Idempotent. */
  close(): Promise<void>;
}
