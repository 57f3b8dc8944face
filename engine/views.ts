import type { ErrorRecord } from "./errors.ts";
import type { RunEvent } from "./events.ts";
import type { Budget, Usage } from "./usage.ts";

/** Every status that a run can have; the last three are its end. */
export const RUN_STATUSES = ["queued", "running", "waiting", "completed", "failed", "cancelled"] as const;
/** How a run stands. `waiting`: none of its steps is queued, running or being retried. */
export type RunStatus = (typeof RUN_STATUSES)[number];
/** How a step of a run stands. */
export type StepStatus =
  | "pending"
  | "queued"
  | "running"
  | "waiting"
  | "retrying"
  | "completed"
  | "failed"
  | "cancelled"
  | "skipped";

/** How soon a run's steps are read where much waits: each priority is a lane beside the others. */
export const PRIORITIES = ["high", "normal", "low"] as const;
/** How soon the steps of a run are read where much waits. */
export type Priority = (typeof PRIORITIES)[number];

/**
 * How well an accepted run is stored: `disk` was fsynced before the reply, `replicated` confirmed by as many replicas as were
 * asked for, and `memory` is neither.
 */
export const DURABILITIES = ["memory", "disk", "replicated"] as const;
/** One of `DURABILITIES`. */
export type Durability = (typeof DURABILITIES)[number];

/** A run that was accepted. */
export interface StartedRun {
  id: string;
  workflow: string;
  version: number;
  status: RunStatus;
  durability: Durability;
  /** False if this is the run of an earlier call with the same idempotency key or deduplication key. */
  created: boolean;
}

/** A step of a run: how it stands, and what came of it. */
export interface StepView {
  status: StepStatus;
  attempt: number;
  progress?: number;
  message?: string;
  output?: unknown;
  error?: ErrorRecord;
  /** What has become of the items of a map or a loop so far. The total of a loop is the most turns that it may take. */
  items?: { total: number; done: number; failed: number };
  /**
   * What a waiting step waits for, and until when at the latest; `tenant_paused`: for its tenant to be resumed. A queued
   * step has it if it is `paused`, or its workflow is; one that no live worker serves waits for a `worker`. `key`:
   * whose limit it is.
   */
  waitingFor?: {
    reason: "sleep" | "signal" | "child" | "delay" | "limit" | "tenant_paused" | "paused" | "worker";
    until?: string;
    run?: string;
    key?: string;
  };
  /** What its attempts have said that they used. */
  usage?: Usage;
  startedAt?: string;
  endedAt?: string;
  /** How far its undo is, since its run failed or was cancelled. */
  undo?: UndoView;
}

/** The undo of a completed step. */
export interface UndoView {
  /** `waiting`: its tenant is paused; `failed`: it went to dead letters. */
  status: "waiting" | "queued" | "running" | "retrying" | "completed" | "failed";
  attempt: number;
  error?: ErrorRecord;
  startedAt?: string;
  endedAt?: string;
}

/** One item of a map, or one turn of a loop. */
export interface ItemView {
  item: number;
  status: "pending" | "queued" | "running" | "waiting" | "retrying" | "completed" | "failed" | "cancelled";
  attempt?: number;
  progress?: number;
  output?: unknown;
  error?: ErrorRecord;
}

/** A run as clients see it. Times are ISO 8601 with milliseconds. */
export interface RunView {
  id: string;
  workflow: string;
  version: number;
  status: RunStatus;
  /** What it will have come to once what it has done is undone; until then it is `running`. */
  undoing?: "failed" | "cancelled";
  input: unknown;
  output?: unknown;
  error?: ErrorRecord;
  /** The sequence number of its last event. */
  seq: number;
  steps: Record<string, StepView>;
  createdAt: string;
  /** When it starts, or was to start, if that was not at once. */
  startsAt?: string;
  /** It fails if it has not started by then. */
  expiresAt?: string;
  /** It fails if it has not ended by then. */
  deadlineAt?: string;
  endedAt?: string;
  /** Absent if it is normal. */
  priority?: Priority;
  tags?: string[];
  metadata?: Record<string, unknown>;
  /** What its steps have said that they used. */
  usage?: Usage;
  budget?: Budget;
}

/** A run in a list: without what may be large. */
export type RunSummary = Omit<RunView, "steps" | "input" | "output">;

/** One page of a list. */
export interface Page<T> {
  data: T[];
  /** Hand it back as `cursor` for the next page; absent on the last. */
  next?: string;
}

/** Which page of a list. */
export interface PageOptions {
  /** 1 to 100. Default 20. */
  limit?: number;
  cursor?: string;
}

/** A step that failed for good, with what it was given and why it failed; it can be replayed. */
export interface DeadLetterView {
  id: string;
  run: string;
  workflow: string;
  version: number;
  step: string;
  /** Which item of the step, if it has items. */
  item?: number;
  /** It is of the step's undo, and not of the step itself. */
  undo?: true;
  attempt: number;
  error: ErrorRecord;
  at: string;
}

/** One attempt that failed. `retryAt` is when the step was tried again; absent if it was not. */
export interface FailedAttempt {
  attempt: number;
  at: string;
  error: ErrorRecord;
  retryAt?: string;
}

/** A dead letter with all that is known of it. Its error has its stack. */
export interface DeadLetterDetails extends DeadLetterView {
  /** What the step was given; absent if it is in a blob that is gone. */
  input?: unknown;
  /** The last 10 attempts of the step that failed, in order; those that its run's log still has. */
  history: FailedAttempt[];
}

/** Work on many dead letters that goes on by itself. */
export interface OperationView {
  id: string;
  kind: "replay" | "discard";
  status: "running" | "done";
  /** How many dead letters fitted so far. */
  matched: number;
  /** How many of these were replayed or discarded: somebody else had the others first, or their runs had moved on. */
  done: number;
  createdAt: string;
  endedAt?: string;
}

/** One step of one workflow version, as an operator sees it. */
export interface QueueView {
  workflow: string;
  version: number;
  step: string;
  /** Entries that no worker has taken yet. */
  depth: number;
  inFlight: number;
  /** Waiting for a time to come: retries, and runs that start later; or for their tenant to be resumed. */
  delayed: number;
  /** Waiting for a limit of the step. */
  limited: number;
  dead: number;
  /** The age of the oldest entry in milliseconds; 0 if there is none. */
  oldestAgeMs: number;
  /** Live worker processes that serve it. */
  workers: number;
  /** Where lanes are used, how much of the depth is in each. */
  lanes?: Record<Priority, number>;
  /** It, or its whole workflow, is paused: workers leave what is queued where it is. */
  paused: boolean;
}

/** What can be paused: a workflow in all its versions, one step of it, or a tenant. */
export type Pausable =
  | { workflow: string; step?: string | undefined; tenant?: undefined }
  | { tenant: string; workflow?: undefined; step?: undefined };

/** What is paused. `since` is ISO 8601 with milliseconds. */
export type PausedView = Pausable & { since: string };

/** The log no longer reaches back to where the watcher was, or is another one: start again from this snapshot. */
export interface Reset {
  type: "reset";
  run: string;
  seq: number;
  snapshot: RunView;
}

/** What a watcher of a run is given: what happened, or a new beginning. */
export type WatchMessage = RunEvent | Reset;

/** An event of a run among those of many: it says of which workflow. */
export type StreamEvent = RunEvent & { workflow: string };

/** Of the events of many runs: these are the live ones, up to 1,000 of them, and what else was known is void. */
export interface StreamReset {
  type: "reset";
  runs: RunSummary[];
  /** There are others. */
  more: boolean;
}

/** Of the events of many runs: whoever comes back with this is told all that follows it. About once a second. */
export interface StreamCursor {
  type: "cursor";
  cursor: string;
}

/** A `reset` with a `run` is of that run alone, as that of a watcher of one. */
export type StreamMessage = StreamEvent | (Reset & { workflow: string }) | StreamReset | StreamCursor;
