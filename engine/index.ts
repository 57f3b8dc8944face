export type * from "./access/api.ts";
export { hasScope, lackedScopes, SCOPES, type Scope } from "./access/scopes.ts";
export type { BatchHandler, Batching } from "./batching.ts";
export {
  type BlobInfo,
  type BlobSource,
  type BlobStore,
  type ByteRange,
  bodyOf,
  type DirectUpload,
  type DirectUploads,
  type OpenedBlob,
  readBlob,
} from "./blobs/blob-store.ts";
export { parseBlobsUrl } from "./blobs/place.ts";
export { type CheckupOptions, checkup } from "./checkup/checkup.ts";
export type { CheckName, Finding } from "./checkup/finding.ts";
export type { Collection, Kept } from "./collections.ts";
export type { ConfigApi, ConfigEntry } from "./config.ts";
export { CONFIG_KEY_PATTERN, type ConfigReader, type FlagOptions } from "./config-reader.ts";
export { connect } from "./connect.ts";
export type { DeadLetterFilter } from "./dead-letters-api.ts";
export { hexDigest } from "./digest.ts";
export { type Draw, newDraw } from "./draw.ts";
export type { DurabilityOption } from "./durability.ts";
export * from "./errors.ts";
export { type Cursor, EVENT_TYPES, isTerminal, parseCursor, type RunEvent } from "./events.ts";
export { isStreamCursor } from "./firehose/position.ts";
export type { Following, Take } from "./follow.ts";
export type { Graph } from "./graph.ts";
export { ID_PATTERN, NAME_PATTERN } from "./ids.ts";
export type { Limit, Limits } from "./limits.ts";
export type {
  ConnectOptions,
  Millrace,
  RerunOptions,
  RunFilter,
  StartOptions,
  Tenanted,
  Traced,
  WatchAllOptions,
} from "./millrace.ts";
export { type ReadHealth, sumErrors, type WorkerHealth, type WorkerView } from "./read-health.ts";
export { parseRedisUrl } from "./redis/address.ts";
export type { CredentialsProvider, RedisCredentials } from "./redis/credentials.ts";
export type { KeyedRequest, RequestsApi } from "./requests.ts";
export type { RetentionPolicy, RetentionSettings } from "./retention-policy.ts";
export type { RetryPolicy } from "./retry.ts";
export * from "./schedules/api.ts";
export { validate } from "./schema.ts";
export { type Dedupe, START_LIMITS, type StartTerms } from "./start-options.ts";
export type {
  CachedResult,
  Handler,
  Settled,
  Signalled,
  Step,
  StepContext,
  StepLog,
  StepSettings,
  Stored,
  Undo,
} from "./step.ts";
export type { SubscribedEvent } from "./subscriptions/delivery.ts";
export type { SubscriptionOptions } from "./subscriptions/settings.ts";
export type * from "./subscriptions/types.ts";
export { parseTraceContext, type TraceContext } from "./trace-context.ts";
export { beginSpan, endSpan, inSpan, placeOf } from "./tracing.ts";
export type * from "./uploads/types.ts";
export type { Budget, Usage, UsageReport } from "./usage.ts";
export type { UsageDay, UsageQuery, UsageView } from "./usage-sums.ts";
export type {
  MigrateDecision,
  MigrateOptions,
  MigrateResult,
  MigrateTo,
  VersionsApi,
  VersionView,
} from "./versions-api.ts";
export * from "./views.ts";
export { createWorker, type Worker, type WorkerOptions } from "./worker.ts";
export type { AttemptOutcome, ObservedStep, WorkerObserver } from "./worker-observer.ts";
export { type AnyWorkflow, type Workflow, workflow } from "./workflow.ts";
