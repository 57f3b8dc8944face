import type { Ticks } from "./schedules/ticks.ts";
import type { Continuations } from "./timers.ts";

/** What carries out each kind of timer row whose work is larger than a script. */
export function continuations({ ticks }: { ticks: Ticks }): Continuations {
  return { tick: ticks.goOn };
}
