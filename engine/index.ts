export { type BlobInfo, type BlobSource, type BlobStore, bodyOf, readBlob } from "./blobs/blob-store.ts";
export { connect } from "./connect.ts";
export { hexDigest } from "./digest.ts";
export * from "./errors.ts";
export { type Cursor, isTerminal, parseCursor, type RunEvent } from "./events.ts";
export type { Graph } from "./graph.ts";
export { ID_PATTERN, NAME_PATTERN } from "./ids.ts";
export type { ConnectOptions, Millrace, RunFilter, StartOptions, Tenanted } from "./millrace.ts";
export type { RetryPolicy } from "./retry.ts";
export { validate } from "./schema.ts";
export { type Dedupe, START_LIMITS, type StartTerms } from "./start-options.ts";
export * from "./views.ts";
export { createWorker, type Worker, type WorkerOptions } from "./worker.ts";
export {
  type AnyWorkflow,
  type Handler,
  type Step,
  type StepContext,
  type StepDefinition,
  type StepLog,
  type StepSettings,
  type Workflow,
  workflow,
} from "./workflow.ts";
