import { MillraceError } from "../errors.ts";
import type { ClockedClient, ClockStore, Standing } from "../store/clock-store.ts";
import type { RunningConsumer } from "../subscriptions/subscribe.ts";
import type { Worker } from "../worker.ts";
import { type Duration, durationMs, durationText } from "./duration.ts";

/** So many timers are gone through in one call, so that one that always sets another does not go on for ever. */
const TIMERS_LIMIT = 10_000;
/** The scripts' numbers hold no later time: 14 digits of milliseconds. */
const LATEST_MS = 99_999_999_999_999;

export interface ClockParts {
  client: ClockedClient;
  store: ClockStore;
  worker: Worker;
  /** Of the subscriptions that are carried along. */
  consumers: ReadonlySet<RunningConsumer>;
  /** How long it may take until everything rests, in real time. */
  timeoutMs: number;
}

/**
 * The time of runs: of timers, events and records. It goes on as real time does, and further by what it is told to.
 * Leases, the timeouts of attempts and `Date.now()` in a handler keep to real time.
 */
export class TestClock {
  readonly #parts: ClockParts;

  constructor(parts: ClockParts) {
    this.#parts = parts;
  }

  async now(): Promise<Date> {
    return new Date((await this.#standing()).nowMs);
  }

  /**
   * Waits until no step is queued or at work, no event is left to a subscription's handler, and no timer is due. Time goes
   * on no faster.
   *
   * @throws MillraceError `not_at_rest`, naming what is still at work after the kit's `timeoutMs`
   */
  async settle(): Promise<void> {
    await this.#settle();
  }

  /**
   * Moves the clock, by way of every timer that comes due: at each it stands still until everything rests.
   *
   * @throws MillraceError `bad_option`, `not_at_rest`
   */
  async advance(duration: Duration): Promise<void> {
    let left = durationMs(duration);
    for (let timers = 0; ; timers += 1) {
      const { nowMs, nextAt } = (await this.#settle())!;
      if (timers >= TIMERS_LIMIT) throw tooManyTimers();
      const inMs = nextAt === undefined ? left : Math.min(left, nextAt - nowMs);
      if (inMs > 0) await this.#forward(nowMs, inMs);
      left -= inMs;
      if (left <= 0) break;
    }
    await this.#settle();
  }

  /**
   * Moves the clock in one go while steps are at work, and carries out what is due then: for a deadline that passes
   * while a handler is busy.
   *
   * @throws MillraceError `bad_option`
   */
  async jump(duration: Duration): Promise<void> {
    await this.#forward((await this.#standing()).nowMs, durationMs(duration));
    for (const deadline = this.#deadline(); (await this.#standing()).due > 0; ) {
      if (performance.now() > deadline) throw notAtRest(await this.#standing(), this.#parts.timeoutMs);
      await this.#carryOut();
    }
  }

  /**
   * Moves on from timer to timer until none is left and everything rests.
   *
   * @param isEnough asked again and again: true to stop there, whatever is at work
   * @throws MillraceError `not_at_rest`, `too_many_timers`
   */
  async runUntilIdle(isEnough?: () => boolean | Promise<boolean>): Promise<void> {
    for (let timers = 0; ; timers += 1) {
      const standing = await this.#settle(isEnough);
      // It may have become enough with the last thing that came to rest.
      if (standing?.nextAt === undefined || (await isEnough?.())) return;
      if (timers >= TIMERS_LIMIT) throw tooManyTimers();
      await this.#forward(standing.nowMs, Math.max(0, standing.nextAt - standing.nowMs));
    }
  }

  #deadline(): number {
    return performance.now() + this.#parts.timeoutMs;
  }

  #standing(): Promise<Standing> {
    const { store, consumers } = this.#parts;
    return store.standing([...new Set([...consumers].map(({ group }) => group))]);
  }

  /** Does what is due, and waits for what of that is under way. */
  async #carryOut(): Promise<void> {
    const { worker, consumers } = this.#parts;
    await Promise.all([worker.runTimers(), ...[...consumers].map((consumer) => consumer.redeliver())]);
  }

  async #forward(nowMs: number, ms: number): Promise<void> {
    if (nowMs + ms > LATEST_MS) throw new MillraceError("bad_option", "The clock goes no further than the year 5138.");
    await this.#parts.client.forward(ms);
  }

  /** How things stand when everything rests; undefined if that is not waited for because it is enough. */
  async #settle(isEnough?: () => boolean | Promise<boolean>): Promise<Standing | undefined> {
    const { client, timeoutMs } = this.#parts;
    for (const deadline = this.#deadline(); ; ) {
      // A continuation that is under way shows in no key; this waits for it.
      await this.#carryOut();
      // Asked before the changes are counted: it may well run scripts itself.
      if (await isEnough?.()) return undefined;
      const seen = client.changes;
      const standing = await this.#standing();
      const isBusy = standing.atWork.length > 0;
      if (standing.due === 0 && !isBusy && client.changes === seen) return standing;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw notAtRest(standing, timeoutMs);
      if (standing.due === 0 && isBusy) await client.changedSince(seen, leftMs);
    }
  }
}

function notAtRest({ atWork, due }: Standing, timeoutMs: number): MillraceError {
  const busy = atWork.map(({ what, entries }) => (entries === 1 ? what : `${what} (${entries} times)`));
  const what = busy.length > 0 ? `queued or at work: ${busy.join(", ")}` : `${due} timers are due`;
  return new MillraceError("not_at_rest", `After ${durationText(timeoutMs)} things do not rest: ${what}.`);
}

function tooManyTimers(): MillraceError {
  return new MillraceError("too_many_timers", `${TIMERS_LIMIT} timers came due, and there are more.`);
}
