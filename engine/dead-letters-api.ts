import type { Tenanted } from "./millrace.ts";
import type { DeadLetterDetails, DeadLetterView, OperationView, Page, PageOptions } from "./views.ts";

/** Which dead letters: those that fit all that is given. */
export interface DeadLetterFilter {
  workflow?: string;
  step?: string;
  /** The `code` of the error that they died of. */
  errorCode?: string;
  /** Those that died before this. */
  before?: Date;
  /** Those that died at this time or after. */
  after?: Date;
}

/** What operators do with steps that failed for good. */
export interface DeadLettersApi {
  /** Newest first, their errors without stacks. @throws InvalidInputError, UnavailableError */
  list(options?: Tenanted & PageOptions & DeadLetterFilter): Promise<Page<DeadLetterView>>;
  /** All that is known of one. @throws NotFoundError */
  get(id: string, options?: Tenanted): Promise<DeadLetterDetails>;
  /**
   * The run goes on from the step that failed, its attempts counted anew; or the undo that failed is tried again.
   *
   * @param options `input`: what the step is given from now on, instead of what it was; undefined: the same
   * @throws NotFoundError; ConflictError `run_moved_on`, or `run_undone` if what the run had done was undone; InvalidInputError for an input that does not fit the workflow's
   *   schema, where the step is one that takes the run's input
   */
  replay(id: string, options?: Tenanted & { input?: unknown }): Promise<{ run: string; step: string }>;
  /** The run stays failed. @throws NotFoundError */
  discard(id: string, options?: Tenanted): Promise<void>;
  /**
   * Replays those that fit, the newest first; none that die after this call. Begins with the first hundred, and has workers go
   * on.
   *
   * @param options `limit`: how many at the most, default all; `id`: with one that was given before it is the same work
   * @returns how far it has come
   * @throws InvalidInputError
   */
  replayMany(filter: DeadLetterFilter, options?: Tenanted & { limit?: number; id?: string }): Promise<OperationView>;
  /** Drops those that fit, likewise. */
  discardMany(filter: DeadLetterFilter, options?: Tenanted & { limit?: number; id?: string }): Promise<OperationView>;
  /** How far a `replayMany` or `discardMany` has come. Known for a day after its end. @throws NotFoundError */
  operation(id: string, options?: Tenanted): Promise<OperationView>;
}
