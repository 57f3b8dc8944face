import { internalsOf } from "../../engine/connect.ts";
import type { RunSummary, ScheduleView } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { encodeTimerRow, type TimerRow } from "../../engine/timer-rows.ts";
import type { EngineUnderTest } from "./engine-under-test.ts";
import { rawRedis } from "./redis.ts";

/** What a test does with the schedules of an engine, past its API. */
export class ScheduleBench {
  readonly redis = rawRedis();
  readonly keys;
  readonly #engine: EngineUnderTest;

  constructor(engine: EngineUnderTest) {
    this.#engine = engine;
    this.keys = new NamespaceKeys(engine.namespace).partition(0);
  }

  async row(name: string): Promise<Extract<TimerRow, { kind: "tick" }>> {
    const generation = (await this.redis.hget(this.keys.schedule("default", name), "generation"))!;
    return { kind: "tick", tenant: "default", name, generation };
  }

  /**
   * Has the schedule due since that tick, as if nobody had been there; its intervals are counted from it. The given fields
   * are set too.
   */
  async due(name: string, tick: number, fields: Record<string, string | number> = {}): Promise<void> {
    const key = this.keys.schedule("default", name);
    const cadence = JSON.parse((await this.redis.hget(key, "cadence"))!);
    if ("every" in cadence) cadence.anchor = tick;
    if ("at" in cadence) cadence.at = tick;
    await this.redis.hset(key, { cadence: JSON.stringify(cadence), ...fields, nextTick: tick });
    await this.redis.zadd(this.keys.timers(), tick, encodeTimerRow(await this.row(name)));
  }

  /** Carries out what the schedule has due, as a worker would; in how many ms it goes on, undefined if its row goes. */
  async tick(name: string, row?: Extract<TimerRow, { kind: "tick" }>): Promise<number | undefined> {
    return internalsOf(this.#engine.millrace).ticks.goOn(row ?? (await this.row(name)));
  }

  /** When its timer is due, ms; undefined without one. */
  async timer(name: string): Promise<number | undefined> {
    const score = await this.redis.zscore(this.keys.timers(), encodeTimerRow(await this.row(name)));
    return score === null ? undefined : Number(score);
  }

  get(name: string): Promise<ScheduleView> {
    return this.#engine.millrace.schedules.get(name);
  }

  /** The runs of a schedule by their ticks, the oldest first. */
  async runs(name: string): Promise<{ tick: string; run: RunSummary }[]> {
    const found: RunSummary[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#engine.millrace.runs.list({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
      found.push(...page.data);
      cursor = page.next;
    } while (cursor !== undefined);
    return found
      .filter((run) => run.metadata?.schedule === name && run.metadata.tick !== undefined)
      .map((run) => ({ tick: run.metadata!.tick as string, run }))
      .sort((a, b) => (a.tick < b.tick ? -1 : 1));
  }
}

export const iso = (ms: number): string => new Date(ms).toISOString();
