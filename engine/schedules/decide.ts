import type { MissedPolicy, OverlapPolicy } from "./api.ts";
import type { Cadence } from "./cadence.ts";

/** Ticks that are looked at in one go. */
export const TICKS_AT_ONCE = 100;
/** Ticks that wait for the last run to end, at the most. */
export const WAITING_LIMIT = 100;
/** A tick that nobody saw to for so long was missed. A worker that dies with a tick in its hands delays it by half of this. */
export const MISSED_AFTER_MS = 60_000;

export interface Situation {
  /** Ms, less the time by which this schedule's ticks are put off. */
  now: number;
  /** The first tick that nothing was decided on; undefined after the last. */
  nextTick: number | undefined;
  /** Ticks that wait for the last run to end, the oldest first. */
  waiting: readonly number[];
  /** Whether the last run has yet to end. */
  live: boolean;
  overlap: OverlapPolicy;
  missed: MissedPolicy;
}

export interface Decision {
  /** Ticks whose runs are to start now. */
  start: number[];
  waiting: number[];
  nextTick: number | undefined;
  /** The last tick that gets no run, or the first of those that were missed. */
  skipped?: { tick: number; reason: "missed" | "overlap" };
}

/** What becomes of the ticks that are due, and of those that wait. At most 100 due ones; if more are, `nextTick` is due. */
export function decide(situation: Situation, cadence: Cadence): Decision {
  const { live, overlap } = situation;
  const { ticks, nextTick, missed } = dueTicks(situation, cadence);
  const decision: Decision = { start: [], waiting: [], nextTick };
  if (missed !== undefined) decision.skipped = { tick: missed, reason: "missed" };
  const candidates = [...situation.waiting, ...ticks];
  if (overlap === "allow") return { ...decision, start: candidates.splice(0, TICKS_AT_ONCE), waiting: candidates };
  if (!live && candidates.length > 0) decision.start.push(candidates.shift()!);
  if (overlap === "queue") decision.waiting = candidates.splice(0, WAITING_LIMIT);
  const left = candidates.pop();
  if (left !== undefined) decision.skipped = { tick: left, reason: "overlap" };
  return decision;
}

interface Due {
  ticks: number[];
  nextTick: number | undefined;
  /** The first of those that were missed and get no run. */
  missed?: number;
}

/** The ticks that are due, less those that the policy leaves out: only the newest of several is not missed, if not too late. */
function dueTicks({ now, nextTick, missed }: Situation, cadence: Cadence): Due {
  if (nextTick === undefined || nextTick > now) return { ticks: [], nextTick };
  if (missed === "all") {
    const ticks: number[] = [];
    let next: number | undefined = nextTick;
    for (; next !== undefined && next <= now && ticks.length < TICKS_AT_ONCE; next = cadence.after(next))
      ticks.push(next);
    return { ticks, nextTick: next };
  }
  const last = cadence.last(nextTick, now);
  const late = missed === "skip" && now - last > MISSED_AFTER_MS;
  const due: Due = { ticks: late ? [] : [last], nextTick: cadence.after(now) };
  if (late || last > nextTick) due.missed = nextTick;
  return due;
}
