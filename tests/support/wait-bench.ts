import { any } from "valibot";
import type { Entry } from "../../engine/entry.ts";
import { workflow } from "../../engine/index.ts";
import type { Reply } from "../../engine/store.ts";
import type { Parking, Transition } from "../../engine/transition.ts";
import { StoreBench } from "./store.ts";

export const waits = workflow("waits", { input: any() })
  .waitFor("wait", { schema: any() })
  .step("end", () => 1);

export const parked = (parking: Parking): Transition => ({ kind: "park", parking });
export const sleep = (delayMs = 60_000) => parked({ reason: "sleep", delayMs });
export const signal = (timeoutMs?: number) => parked({ reason: "signal", timeoutMs });
/** The id of a child run. */
/** As derived ids are: of version 8. */
export const CHILD = `${"c".repeat(12)}8${"c".repeat(19)}`;
export const child = (detached = false) => parked({ reason: "child", child: CHILD, detached });

/** A bench with a run whose step `wait` ann has taken. Its actions are functions, to be handed to `change`. */
export class WaitBench extends StoreBench {
  entry!: Entry;

  static async begin(): Promise<WaitBench> {
    const bench = new WaitBench(waits);
    await bench.admit();
    bench.entry = await bench.next("wait");
    return bench;
  }

  readonly park = (end: Transition) => () => this.commit({ entry: this.entry, startedAgoMs: 0, end });

  readonly send =
    (key = "k", stored = '"yes"', run = this.run) =>
    () =>
      this.store.signal({ run, graph: waits.graph, tenant: "default", step: "wait", key, stored });

  readonly cancelled = () => this.store.cancel(this.run, waits.graph, "default");

  /** Carries out the row that wakes the step for this reason, by its own entry's end or another's. */
  readonly promote =
    (reason: string, by = this.entry.id, run = this.run) =>
    async (): Promise<Reply> => {
      const row = {
        kind: "wake",
        reason,
        tenant: "default",
        run,
        workflow: "waits",
        version: "1",
        step: "wait",
      } as const;
      return (await this.timers.promote([{ ...row, item: "", entry: by }]))[0]!;
    };

  /** Makes the row due that a child's end adds. */
  async childEnded(run = this.run): Promise<void> {
    await this.redis.zadd(this.keys.timers(), 1, `wake|child|default|${run}|waits|1|wait||${CHILD}`);
  }

  fields(): Promise<Record<string, string>> {
    return this.redis.hgetall(this.keys.run(this.run));
  }
}
