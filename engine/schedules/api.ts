import type { StartOptions, Tenanted, Traced } from "../millrace.ts";
import type { Page, PageOptions, Priority, StartedRun } from "../views.ts";
import type { AnyWorkflow } from "../workflow.ts";

/** What a tick does while the schedule's last run has yet to end: nothing, wait for that end, or start all the same. */
export const OVERLAP_POLICIES = ["skip", "queue", "allow"] as const;
/** One of `OVERLAP_POLICIES`. */
export type OverlapPolicy = (typeof OVERLAP_POLICIES)[number];

/** What becomes of ticks that no worker was there for: none of them runs, the latest does, or all. */
export const MISSED_POLICIES = ["skip", "latest", "all"] as const;
/** One of `MISSED_POLICIES`. */
export type MissedPolicy = (typeof MISSED_POLICIES)[number];

/** `ended`: there is no tick to come. */
export type ScheduleStatus = "active" | "paused" | "ended";

/** When a schedule ticks. */
export type ScheduleTimes =
  /** Five fields, or six with seconds first, or `@daily` and the like, in that zone's wall-clock time. Default `UTC`. */
  | { cron: string; timeZone?: string; every?: never; at?: never }
  /** Every so many ms, at least 1,000, from when it was created. */
  | { every: number; cron?: never; timeZone?: never; at?: never }
  /** Once. A text is ISO 8601 with its offset. */
  | { at: string | Date; cron?: never; timeZone?: never; every?: never };

/** What a schedule starts, and when. */
export type ScheduleOptions = ScheduleTimes & {
  /** 1 to 64 of `A-Z a-z 0-9 _ -`. */
  name: string;
  workflow: string | AnyWorkflow;
  /** Every run's. Its JSON may have 32,768 characters. */
  input: unknown;
  /** Default `skip`. */
  overlap?: OverlapPolicy;
  /** Default `latest`. */
  missed?: MissedPolicy;
  /** Puts all its ticks off by the same time below this, drawn once, so that not all schedules start at once. Default 0. */
  jitterMs?: number;
  /** Every run's, beside `schedule`, the name, and `tick`, the time. */
  metadata?: Record<string, unknown>;
  /** Every run's. Default normal. */
  priority?: Priority;
  /** Every run's: up to 8, by which they are found. */
  tags?: readonly string[];
  /** Of which key its runs are counted, and how many that may start in a UTC day: a tick beyond that starts none, and `lastError` says so. */
  quota?: RunQuota;
  tenant?: string;
};

/** A key of `access.quotas`, and how much it may have of it. */
export interface RunQuota {
  key: string;
  perDay: number;
}

/** A schedule in a list. Times are ISO 8601 with milliseconds. */
export interface ScheduleSummary {
  name: string;
  status: ScheduleStatus;
  workflow: string;
  cron?: string;
  timeZone?: string;
  every?: number;
  at?: string;
  overlap: OverlapPolicy;
  missed: MissedPolicy;
  jitterMs: number;
  /** Absent while it is paused, and once it has ended. */
  nextTick?: string;
  /** The last tick that a run was started for, and that run. */
  lastTick?: string;
  lastRun?: string;
  /** Ticks that wait for the last run to end. */
  waiting?: string[];
  /** The last tick that got no run; of several that were missed together, the first. */
  lastSkipped?: { tick: string; reason: "missed" | "overlap" };
  /** Why the last tick could not start its run. */
  lastError?: { tick: string; code?: string; message: string };
  metadata?: Record<string, unknown>;
  /** Absent for normal. */
  priority?: Priority;
  tags?: string[];
  createdAt: string;
  updatedAt: string;
}

/** A schedule with the input of its runs. */
export interface ScheduleView extends ScheduleSummary {
  input: unknown;
}

/** What can be done with schedules. Their ticks are any worker's to carry out that knows the workflow. */
export interface SchedulesApi {
  /**
   * Makes a schedule, or replaces the one of that name. It stays paused if it was; one that is the same already is left
   * as it is, so a program may say its schedules each time it starts. What changes holds for ticks to come, and a change
   * of the times counts from now.
   *
   * @returns the schedule, and whether it is new
   * @throws InvalidInputError naming the option; NotFoundError for an unknown workflow; UnavailableError
   */
  create(options: ScheduleOptions): Promise<ScheduleView & { created: boolean }>;
  /** @throws NotFoundError, UnavailableError */
  get(name: string, options?: Tenanted): Promise<ScheduleView>;
  /** The newest first. @throws InvalidInputError for a bad cursor or limit, UnavailableError */
  list(options?: Tenanted & PageOptions): Promise<Page<ScheduleSummary>>;
  /** No tick starts a run any more, and those that wait are dropped. @throws NotFoundError; ConflictError `schedule_ended` */
  pause(name: string, options?: Tenanted): Promise<ScheduleView>;
  /** Goes on with the next tick from now. @throws NotFoundError; ConflictError `schedule_ended` */
  resume(name: string, options?: Tenanted): Promise<ScheduleView>;
  /** Its runs stay. @throws NotFoundError */
  delete(name: string, options?: Tenanted): Promise<void>;
  /**
   * Starts a run of it now, also while it is paused. That is beside the schedule: no policy holds it back, and no tick
   * waits for it.
   *
   * @throws NotFoundError, InvalidInputError if the input no longer fits, ConflictError, UnavailableError
   */
  trigger(name: string, options?: Pick<StartOptions, "tenant" | "idempotency" | keyof Traced>): Promise<StartedRun>;
}
