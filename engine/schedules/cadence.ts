import { Cron } from "croner";
import { InvalidInputError } from "../errors.ts";

/** When a schedule ticks, as it is stored. `anchor` is the time that intervals are counted from. Times in ms. */
export type CadenceRecord = { cron: string; timeZone: string } | { every: number; anchor: number } | { at: number };

/** When a schedule ticks, as a caller says it: one of the three. */
export interface CadenceOptions {
  cron?: string | undefined;
  timeZone?: string | undefined;
  every?: number | undefined;
  at?: string | Date | undefined;
}

const CRON_LENGTH = 200;
const LEAST_EVERY_MS = 1_000;
const MOST_EVERY_MS = 366 * 86_400_000;
/** What a Date can hold. */
const LAST_MS = 8_640_000_000_000_000;
const NEVER = "It never comes: no date fits";

/** The ticks of a schedule. */
export interface Cadence {
  /** The first tick after that time, strictly; undefined if there is none. */
  after(ms: number): number | undefined;
  /** The last tick up to `until`, given one that is not later. */
  last(tick: number, until: number): number;
}

export function cadenceOf(record: CadenceRecord): Cadence {
  if ("at" in record) return { after: (ms) => (ms < record.at ? record.at : undefined), last: () => record.at };
  if ("every" in record) return interval(record.every, record.anchor);
  return crontab(record.cron, record.timeZone);
}

/**
 * What a caller says of when a schedule ticks, checked.
 *
 * @param now on the server, ms: intervals are counted from it
 * @throws InvalidInputError naming the option
 */
export function parseCadence({ cron, timeZone, every, at }: CadenceOptions, now: number): CadenceRecord {
  const given = [cron, every, at].filter((each) => each !== undefined).length;
  if (given !== 1) throw invalid("cron", "Give one of cron, every and at");
  if (cron === undefined && timeZone !== undefined) throw invalid("timeZone", "A time zone goes with cron only");
  if (cron !== undefined) return parseCron(cron, timeZone ?? "UTC", now);
  if (at !== undefined) return { at: parseTime(at) };
  if (!(Number.isInteger(every) && every! >= LEAST_EVERY_MS && every! <= MOST_EVERY_MS))
    throw invalid("every", `Expected a whole number of ms from ${LEAST_EVERY_MS} to ${MOST_EVERY_MS}`);
  return { every: every!, anchor: now };
}

/** The first tick after that time. @throws InvalidInputError if there is none */
export function firstTick(record: CadenceRecord, now: number): number {
  const tick = cadenceOf(record).after(now);
  if (tick !== undefined) return tick;
  throw "at" in record ? invalid("at", `${new Date(record.at).toISOString()} has passed`) : invalid("cron", NEVER);
}

/** Whether two schedules tick at the same times, wherever their intervals are counted from. */
export function sameTimes(a: CadenceRecord, b: CadenceRecord): boolean {
  if ("at" in a) return "at" in b && a.at === b.at;
  if ("every" in a) return "every" in b && a.every === b.every;
  return "cron" in b && a.cron === b.cron && a.timeZone === b.timeZone;
}

function parseCron(cron: unknown, timeZone: unknown, now: number): CadenceRecord {
  if (typeof timeZone !== "string" || !isZone(timeZone))
    throw invalid("timeZone", `${JSON.stringify(timeZone)} is not a time zone such as Europe/Berlin`);
  // The parser would take a text with a colon for a date.
  if (typeof cron !== "string" || cron.length > CRON_LENGTH || cron.includes(":"))
    throw invalid("cron", `Expected five or six fields, or @daily and the like, in ${CRON_LENGTH} characters`);
  let next: number | undefined;
  try {
    next = crontab(cron, timeZone).after(now);
  } catch (error) {
    throw invalid("cron", (error as Error).message.replace(/^Cron\w+: /, "").slice(0, 300));
  }
  if (next === undefined) throw invalid("cron", NEVER);
  return { cron, timeZone };
}

function isZone(name: string): boolean {
  // An offset is a zone to some runtimes only.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function parseTime(at: unknown): number {
  const text = at instanceof Date && !Number.isNaN(at.getTime()) ? at.toISOString() : at;
  // A time without its offset would be another one in each process.
  const isTime = typeof text === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = isTime ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw invalid("at", "Expected a time with its offset, such as 2030-01-31T09:00:00Z");
  return ms;
}

function interval(every: number, anchor: number): Cadence {
  const last = (ms: number) => anchor + Math.floor((ms - anchor) / every) * every;
  return { after: (ms) => Math.max(last(ms) + every, anchor + every), last: (_, until) => last(until) };
}

/**
 * Wall-clock times of a zone, as Vixie cron has them when clocks change. Where seconds, minutes and hours are named, a time
 * that is left out comes at the end of the gap, and one that is there twice comes the first time. What has a `*` or a step
 * there goes on in real time: nothing in the gap, and twice in the hour that is there twice.
 */
function crontab(pattern: string, timezone: string): Cadence {
  const cron = new Cron(pattern, { timezone, paused: true, mode: "5-or-6-parts", fixedTimeRule: "no-wildcard" });
  const after = (ms: number) => (ms >= LAST_MS ? undefined : (cron.nextRun(new Date(ms))?.getTime() ?? undefined));
  return {
    after,
    // By halves: after a long outage there may be millions of ticks between the two.
    last(tick, until) {
      let last = tick;
      let end = until;
      while (end - last > 1) {
        const middle = last + Math.floor((end - last) / 2);
        const next = after(middle);
        if (next !== undefined && next <= until) last = next;
        else end = middle;
      }
      return last;
    },
  };
}

export function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`The schedule's ${path}: ${message}.`, [{ path: [path], message }]);
}
