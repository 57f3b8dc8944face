import type { QuotasApi } from "../access/api.ts";
import { errorRecord, MillraceError, UnavailableError } from "../errors.ts";
import { derivedRunId } from "../ids.ts";
import { logger } from "../log.ts";
import { iso } from "../run-record.ts";
import type { Runs } from "../runs.ts";
import type { ScheduleName, ScheduleStore } from "../store/schedule-store.ts";
import type { ContinuedRow } from "../timer-rows.ts";
import type { Continuation } from "../timers.ts";
import type { StartedRun } from "../views.ts";
import type { AnyWorkflow } from "../workflow.ts";
import { cadenceOf } from "./cadence.ts";
import { decide, MISSED_AFTER_MS } from "./decide.ts";
import { dueAt, metadataOf, quotaOf, type ScheduleRecord, startOptionsOf } from "./record.ts";

const log = logger("schedules");

/** A worker that does not know the workflow leaves the schedule to others for so long. */
const LEAVE_MS = 1_000;
const LIVE = new Set(["queued", "running", "waiting"]);
const ERROR_LENGTH = 500;
const UNKNOWN_WORKFLOW = "unknown_workflow";

interface TicksParts {
  namespace: string;
  schedules: ScheduleStore;
  runs: Runs;
  quotas: QuotasApi;
  workflows: ReadonlyMap<string, AnyWorkflow>;
}

type TickRow = Extract<ContinuedRow, { kind: "tick" }>;

/**
 * Carries out what schedules have due. (1) What is to start is decided and stored; (2) the runs are started, by ids that
 * follow from schedule and tick; (3) that is stored, and the timer armed. Whoever takes up a schedule between (1) and (3)
 * starts the same runs, so each tick makes one, and stores only on what it has read.
 */
export class Ticks {
  readonly #parts: TicksParts;

  constructor(parts: TicksParts) {
    this.#parts = parts;
  }

  readonly goOn: Continuation<TickRow> = async ({ tenant, name, generation }) => {
    const which = { tenant, name };
    const { schedules, workflows } = this.#parts;
    const { now, schedule: was } = await schedules.read(which);
    if (was === undefined || was.generation !== Number(generation) || was.status === "paused") return undefined;
    if (was.status === "ended") return this.#forget(which, was, now);
    if (!workflows.has(was.workflow)) return this.#leave(which, was, now);

    let decided = was;
    if (was.starting.length === 0) {
      decided = await this.#decide(which, was, now);
      if (decided === was) return dueAt(was, now)! - now;
      if (decided.starting.length === 0) return this.#settle(which, was, decided, now);
      // The row stays this worker's, so that a failure has it tried again soon.
      if (!(await schedules.write(which, was, decided, "as-it-is"))) return 0;
    }
    return this.#settle(which, decided, await this.#start(which, decided), now);
  };

  /** What is to become of a schedule; itself if nothing is to be done yet. */
  async #decide(which: ScheduleName, was: ScheduleRecord, now: number): Promise<ScheduleRecord> {
    const { overlap, missed, waiting, nextTick, lastRun } = was;
    const shifted = now - was.offset;
    const due = nextTick !== undefined && nextTick <= shifted;
    if (!due && waiting.length === 0) return was;
    const live = overlap !== "allow" && lastRun !== undefined && (await this.#isLive(lastRun));
    const decision = decide({ now: shifted, nextTick, waiting, live, overlap, missed }, cadenceOf(was.cadence));
    if (!due && decision.start.length === 0 && decision.waiting.length === waiting.length) return was;
    const { start, skipped } = decision;
    const becomes = { ...was, starting: start, waiting: decision.waiting, nextTick: decision.nextTick };
    becomes.revision += 1;
    if (skipped !== undefined) becomes.skipped = skipped;
    const last = start[start.length - 1];
    return last === undefined ? becomes : { ...becomes, lastTick: last, lastRun: await this.#runId(which, was, last) };
  }

  /** Starts the runs that were decided on. A tick whose run cannot be made is passed over, and shown. */
  async #start(which: ScheduleName, schedule: ScheduleRecord): Promise<ScheduleRecord> {
    const { tenant, name } = which;
    let error: ScheduleRecord["error"];
    for (const tick of schedule.starting) {
      const metadata = { ...metadataOf(schedule), schedule: name, tick: iso(tick) };
      const id = await this.#runId(which, schedule, tick);
      try {
        const { workflow, input } = schedule;
        const options = { ...startOptionsOf(schedule), tenant, metadata };
        await this.#counted(schedule, id, () => this.#parts.runs.start(workflow, JSON.parse(input), options, id));
      } catch (thrown) {
        if (thrown instanceof UnavailableError) throw thrown;
        log.error("tick {tick} of schedule {name} started no run: {error}", { tick: iso(tick), name, error: thrown });
        const { code, message } = errorRecord(thrown);
        error = { tick, message: message.slice(0, ERROR_LENGTH), ...(code === undefined ? {} : { code }) };
      }
    }
    return { ...schedule, revision: schedule.revision + 1, starting: [], error };
  }

  /** Starts a run, and counts it if its schedule has a quota; one that a worker started before it died is counted already. */
  async #counted(schedule: ScheduleRecord, id: string, start: () => Promise<StartedRun>): Promise<void> {
    const { quotas, schedules } = this.#parts;
    const quota = quotaOf(schedule);
    if (quota === undefined) return void (await start());
    if ((await schedules.runStatus(id)) !== undefined) return;
    const { key, perDay } = quota;
    if ("refused" in (await quotas.counted(key, perDay, start)))
      throw new MillraceError("quota_exceeded", `All ${perDay} runs of the day are taken.`);
  }

  /** Stores what a schedule has become, and arms its timer. @returns in how many ms it goes on */
  async #settle(which: ScheduleName, was: ScheduleRecord, becomes: ScheduleRecord, now: number): Promise<number> {
    const ended = becomes.nextTick === undefined && becomes.waiting.length === 0;
    const settled: ScheduleRecord = ended ? { ...becomes, status: "ended", updatedAt: now } : becomes;
    const due = dueAt(settled, now)!;
    return (await this.#parts.schedules.write(which, was, settled, due)) ? due - now : 0;
  }

  /** An ended schedule is deleted when it has been kept for long enough. */
  async #forget(which: ScheduleName, was: ScheduleRecord, now: number): Promise<number | undefined> {
    const inMs = dueAt(was, was.updatedAt)! - now;
    if (inMs > 0) return inMs;
    await this.#parts.schedules.delete(which, was);
    return undefined;
  }

  /** For a worker that knows its workflow; if none comes by, that is shown. */
  async #leave(which: ScheduleName, was: ScheduleRecord, now: number): Promise<number> {
    const tick = was.starting[0] ?? was.waiting[0] ?? was.nextTick;
    if (tick !== undefined && now - tick > MISSED_AFTER_MS && was.error?.code !== UNKNOWN_WORKFLOW) {
      const error = { tick, code: UNKNOWN_WORKFLOW, message: `No worker knows the workflow ${was.workflow}.` };
      await this.#parts.schedules.write(which, was, { ...was, revision: was.revision + 1, error }, "as-it-is");
    }
    return LEAVE_MS;
  }

  async #isLive(run: string): Promise<boolean> {
    return LIVE.has((await this.#parts.schedules.runStatus(run)) ?? "");
  }

  #runId(which: ScheduleName, { createdAt }: ScheduleRecord, tick: number): Promise<string> {
    const { namespace, schedules } = this.#parts;
    return derivedRunId(schedules.partition(which).index, [namespace, which.tenant, which.name, createdAt, tick]);
  }
}
