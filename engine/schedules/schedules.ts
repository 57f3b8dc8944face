import { checkLimited, checkPerDay } from "../access/check.ts";
import { ConflictError, NotFoundError } from "../errors.ts";
import { ID_PATTERN } from "../ids.ts";
import { pageOf } from "../listing.ts";
import type { StartOptions, Tenanted, Traced } from "../millrace.ts";
import { encodeInput, INLINE_LIMIT } from "../payload.ts";
import type { Records } from "../records.ts";
import { iso } from "../run-record.ts";
import { DEFAULT_TENANT, type Runs } from "../runs.ts";
import { validate } from "../schema.ts";
import { checkMetadata, checkTerms, START_LIMITS } from "../start-options.ts";
import type { ScheduleName, ScheduleStore } from "../store/schedule-store.ts";
import type { Store } from "../store.ts";
import { type Page, type PageOptions, PRIORITIES, type StartedRun } from "../views.ts";
import type { AnyWorkflow } from "../workflow.ts";
import {
  MISSED_POLICIES,
  OVERLAP_POLICIES,
  type ScheduleOptions,
  type ScheduleSummary,
  type SchedulesApi,
  type ScheduleView,
} from "./api.ts";
import { type CadenceOptions, cadenceOf, firstTick, invalid, parseCadence, sameTimes } from "./cadence.ts";
import { dueAt, metadataOf, type ScheduleRecord, scheduleSummary, scheduleView, startOptionsOf } from "./record.ts";

const MOST_JITTER_MS = 3_600_000;
/** A change that others forestall so often is given up. */
const WRITES = 10;

/** What of a schedule its maker says, the times aside. */
type Definition = Pick<
  ScheduleRecord,
  "workflow" | "input" | "metadata" | "priority" | "tags" | "quota" | "overlap" | "missed" | "jitterMs"
>;

interface SchedulesParts {
  schedules: ScheduleStore;
  store: Store;
  records: Records;
  runs: Runs;
  /** The newest version of each. */
  workflows: ReadonlyMap<string, AnyWorkflow>;
}

/** What can be done with schedules from outside. */
export class Schedules implements SchedulesApi {
  readonly #parts: SchedulesParts;

  constructor(parts: SchedulesParts) {
    this.#parts = parts;
  }

  async create(options: ScheduleOptions): Promise<ScheduleView & { created: boolean }> {
    const { name, tenant = DEFAULT_TENANT } = options;
    if (typeof name !== "string" || !ID_PATTERN.test(name))
      throw invalid("name", "Expected 1 to 64 of A-Z a-z 0-9 _ -");
    if (!ID_PATTERN.test(tenant)) throw invalid("tenant", "Expected 1 to 64 of A-Z a-z 0-9 _ -");
    const definition = await this.#check(options);
    let created = false;
    const record = await this.#change({ tenant, name }, (was, now) => {
      created = was === undefined;
      return replaced(was, definition, options, now);
    });
    return { ...scheduleView(name, record), created };
  }

  async get(name: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<ScheduleView> {
    return scheduleView(name, await this.#find({ tenant, name }));
  }

  async list(options: Tenanted & PageOptions = {}): Promise<Page<ScheduleSummary>> {
    const { tenant = DEFAULT_TENANT } = options;
    const indexes = this.#parts.store.allPartitions.map((keys) => keys.schedules(tenant));
    return pageOf(this.#parts.records, indexes, options, async (names) => {
      const found = await this.#parts.schedules.readAll(tenant, names);
      return found.map((record, i) => (record === undefined ? undefined : scheduleSummary(names[i]!, record)));
    });
  }

  async pause(name: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<ScheduleView> {
    const paused = await this.#change({ tenant, name }, (found) => {
      const was = livingOf(name, found);
      if (was.status === "paused") return was;
      return { ...was, status: "paused", nextTick: undefined, starting: [], waiting: [] };
    });
    return scheduleView(name, paused);
  }

  async resume(name: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<ScheduleView> {
    const resumed = await this.#change({ tenant, name }, (found, now) => {
      const was = livingOf(name, found);
      if (was.status === "active") return was;
      const nextTick = cadenceOf(was.cadence).after(now);
      return { ...was, nextTick, status: nextTick === undefined ? "ended" : "active" };
    });
    return scheduleView(name, resumed);
  }

  async delete(name: string, { tenant = DEFAULT_TENANT }: Tenanted = {}): Promise<void> {
    for (let i = 0; i < WRITES; i += 1)
      if (await this.#parts.schedules.delete({ tenant, name }, await this.#find({ tenant, name }))) return;
    throw busy(name);
  }

  async trigger(
    name: string,
    options: Pick<StartOptions, "tenant" | "idempotency" | keyof Traced> = {},
  ): Promise<StartedRun> {
    const { tenant = DEFAULT_TENANT } = options;
    const { now, schedule } = await this.#parts.schedules.read({ tenant, name });
    if (schedule === undefined) throw new NotFoundError("schedule", name);
    const metadata = { ...metadataOf(schedule), schedule: name, triggered: iso(now) };
    const started = { ...startOptionsOf(schedule), ...options, tenant, metadata };
    return this.#parts.runs.start(schedule.workflow, JSON.parse(schedule.input), started);
  }

  async #check(options: ScheduleOptions): Promise<Definition> {
    const { overlap = "skip", missed = "latest", jitterMs = 0, metadata, priority = "normal", tags, quota } = options;
    const workflow = typeof options.workflow === "string" ? options.workflow : options.workflow.name;
    const known = this.#parts.workflows.get(workflow);
    if (known === undefined) throw new NotFoundError("workflow", workflow);
    if (known.settings.partitionBy !== undefined && this.#parts.store.partitions.count > 1)
      throw invalid("workflow", "Runs of a schedule are in its own partition: a workflow with partitionBy has none");
    if (!OVERLAP_POLICIES.includes(overlap)) throw invalid("overlap", `Expected one of ${OVERLAP_POLICIES.join(", ")}`);
    if (!MISSED_POLICIES.includes(missed)) throw invalid("missed", `Expected one of ${MISSED_POLICIES.join(", ")}`);
    if (!(Number.isInteger(jitterMs) && jitterMs >= 0 && jitterMs <= MOST_JITTER_MS))
      throw invalid("jitterMs", `Expected a whole number of ms from 0 to ${MOST_JITTER_MS}`);
    const input = encodeInput(options.input, "input");
    if (input.length > INLINE_LIMIT) throw invalid("input", `At most ${INLINE_LIMIT} characters of JSON`);
    // As every start will see it.
    await validate(known.input, JSON.parse(input), "input");
    const kept = checkMetadata(metadata, START_LIMITS.metadata - MADE_BY);
    if (!PRIORITIES.includes(priority)) throw invalid("priority", `Expected one of ${PRIORITIES.join(", ")}`);
    if (quota !== undefined) {
      checkLimited(quota.key);
      checkPerDay("quota.perDay", quota.perDay);
    }
    const checked = checkTerms(tags === undefined ? {} : { tags }, known.settings).tags;
    return {
      ...{ workflow, input, metadata: kept, overlap, missed, jitterMs },
      priority: priority === "normal" ? undefined : priority,
      tags: checked === undefined ? undefined : JSON.stringify(checked),
      quota: quota === undefined ? undefined : JSON.stringify({ key: quota.key, perDay: quota.perDay }),
    };
  }

  async #find(which: ScheduleName): Promise<ScheduleRecord> {
    const { schedule } = await this.#parts.schedules.read(which);
    if (schedule === undefined) throw new NotFoundError("schedule", which.name);
    return schedule;
  }

  /** Reads, has it changed and writes it, until nobody else wrote in between. What comes back as it was is not written. */
  async #change(
    which: ScheduleName,
    change: (was: ScheduleRecord | undefined, now: number) => ScheduleRecord,
  ): Promise<ScheduleRecord> {
    for (let i = 0; i < WRITES; i += 1) {
      const { now, schedule: was } = await this.#parts.schedules.read(which);
      const changed = change(was, now);
      if (changed === was) return was;
      // The first is the time, so that a schedule that was deleted and made again is not taken for the one before.
      const revision = was === undefined ? now : was.revision + 1;
      const becomes = { ...changed, revision, generation: revision, updatedAt: now };
      if (await this.#parts.schedules.write(which, was, becomes, dueAt(becomes, now))) return becomes;
    }
    throw busy(which.name);
  }
}

/** What the two fields that a run is told of its schedule may take of its metadata. */
const MADE_BY = 192;

/** A schedule made anew, or from the one of that name: what was decided and is not yet done stays. */
function replaced(
  was: ScheduleRecord | undefined,
  definition: Definition,
  options: CadenceOptions,
  now: number,
): ScheduleRecord {
  const wanted = parseCadence(options, now);
  if (was !== undefined && sameTimes(was.cadence, wanted)) {
    const names = Object.keys(definition) as (keyof Definition)[];
    if (names.every((name) => was[name] === definition[name])) return was;
    return { ...was, ...definition, offset: offsetOf(was, definition) };
  }
  const nextTick = firstTick(wanted, now);
  const active = was?.status !== "paused";
  return {
    ...{ revision: 0, generation: 0, createdAt: now, updatedAt: now },
    ...{ lastTick: undefined, lastRun: undefined, starting: [], waiting: [], skipped: undefined, error: undefined },
    ...was,
    ...definition,
    cadence: wanted,
    offset: offsetOf(was, definition),
    status: active ? "active" : "paused",
    nextTick: active ? nextTick : undefined,
  };
}

function offsetOf(was: ScheduleRecord | undefined, { jitterMs }: Definition): number {
  return was?.jitterMs === jitterMs ? was.offset : Math.floor(Math.random() * jitterMs);
}

/** @throws NotFoundError; ConflictError `schedule_ended` */
function livingOf(name: string, record: ScheduleRecord | undefined): ScheduleRecord {
  if (record === undefined) throw new NotFoundError("schedule", name);
  if (record.status === "ended")
    throw new ConflictError("schedule_ended", `Schedule ${name} has ended: there is no tick to come.`);
  return record;
}

function busy(name: string): ConflictError {
  return new ConflictError("schedule_busy", `Schedule ${name} is being changed by others all the time.`);
}
