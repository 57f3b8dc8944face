import type { ModelEntry, ModelLetter, ModelRun, ModelTimer, Standing } from "./state.ts";
import { isLive, streamOf } from "./state.ts";

/** What a namespace holds, and how something gets to a place of its own and is taken from it. */
export class Holding {
  /** The time of runs, in ms from the beginning. */
  now = 0;
  readonly runs: ModelRun[] = [];
  readonly streams = new Map<string, ModelEntry[]>();
  timers: ModelTimer[] = [];
  letters: ModelLetter[] = [];

  queue(of: Standing, more: Partial<ModelEntry> = {}): void {
    const entry = { of, wake: "", failures: 0, crashes: 0, input: "", ...more };
    const key = streamOf(of);
    this.streams.set(key, [...(this.streams.get(key) ?? []), entry]);
    Object.assign(of, { status: "queued", place: entry, batch: 0 });
  }

  /** Begins anew, as if it had never been tried. */
  queueAnew(of: Standing, input = ""): void {
    Object.assign(of, { attempt: 0, failures: 0, crashes: 0 });
    this.queue(of, { input });
  }

  undelivered(key: string): ModelEntry[] {
    return (this.streams.get(key) ?? []).filter(({ pending }) => pending === undefined);
  }

  timer(of: Standing, reason: string, delayMs: number): ModelTimer {
    const timer = { of, reason, due: this.now + delayMs };
    this.timers.push(timer);
    return timer;
  }

  /** Takes every live step and item from its place. */
  endLive(run: ModelRun): void {
    const items = [...run.items.values()].flatMap(({ live }) => [...live.values()]);
    for (const each of [...run.steps.values(), ...items]) {
      if (!isLive(each)) continue;
      this.remove(each.place);
      each.status = "cancelled";
      each.place = undefined;
    }
  }

  has(entry: ModelEntry): boolean {
    return this.streams.get(streamOf(entry.of))?.includes(entry) ?? false;
  }

  remove(place: Standing["place"]): void {
    this.timers = this.timers.filter((timer) => timer !== place);
    this.letters = this.letters.filter((letter) => letter !== place);
    for (const [key, entries] of this.streams)
      this.streams.set(
        key,
        entries.filter((entry) => entry !== place),
      );
  }
}
