import { delayedField, type Graph } from "./graph.ts";
import { GROUP, type PartitionKeys } from "./keys.ts";
import { isAlive } from "./read-health.ts";
import type { Records } from "./records.ts";
import type { Call, Client } from "./redis/client.ts";
import { serverTimeMs } from "./redis/time.ts";
import { laneField } from "./store/lane-store.ts";
import { pauseField } from "./store/pause-store.ts";
import { PRIORITIES, type Priority, type QueueView } from "./views.ts";

/** The figures of every step of these graphs in one partition. */
export async function queuesOf(
  client: Client,
  records: Records,
  graphs: readonly Graph[],
  keys: PartitionKeys,
): Promise<QueueView[]> {
  const alive = (await records.workers(keys)).filter(isAlive);
  const [time, pausedFields, laneFields] = (await client.pipeline([
    ["TIME"],
    ["HKEYS", keys.paused()],
    ["HKEYS", keys.lanes()],
  ])) as [[string, string], string[], string[]];
  const paused = new Set(pausedFields);
  const used = new Set(laneFields);
  const steps = graphs.flatMap((graph) => {
    const lanes = PRIORITIES.filter((lane) => lane === "normal" || used.has(laneField(graph, lane)));
    return graph.steps.map(({ name, limits }) => ({ graph, step: name, lanes, hasGate: limits === true }));
  });
  const calls = steps.flatMap(({ graph, step, lanes, hasGate }): Call[] => [
    ["XLEN", keys.dead(graph, step)],
    ["HGET", keys.delayed(), delayedField(graph, step)],
    ["ZCARD", keys.gateWaiting(graph, step)],
    ...lanes.flatMap((lane): Call[] => {
      const streams = hasGate
        ? [keys.step(graph, step, lane), keys.slots(graph, step, lane)]
        : [keys.step(graph, step, lane)];
      return streams.flatMap((stream): Call[] => [
        ["XLEN", stream],
        ["XRANGE", stream, "-", "+", "COUNT", 1],
        ["XINFO", "GROUPS", stream],
      ]);
    }),
  ]);
  const replies = await client.replies(calls);
  // A stream that nobody has touched yet has no group to tell of: the server answers with an error.
  const failed = replies.find((reply, i) => reply instanceof Error && calls[i]![0] !== "XINFO");
  if (failed !== undefined) throw failed;

  const now = serverTimeMs(time);
  let at = 0;
  const next = () => replies[at++];
  return steps.map(({ graph, step, lanes, hasGate }) => {
    const { workflow, version } = graph;
    const dead = next() as number;
    const delayed = Number(next() ?? 0);
    const limited = next() as number;
    const depths: Record<Priority, number> = { high: 0, normal: 0, low: 0 };
    let inFlight = 0;
    let oldestMs = now;
    for (const lane of hasGate ? lanes.flatMap((each) => [each, each]) : lanes) {
      const length = next() as number;
      const oldest = (next() as [string, unknown][])[0]?.[0];
      const groups = next();
      const pending = groups instanceof Error ? 0 : pendingOf(groups as unknown[][]);
      depths[lane] += Math.max(0, length - pending);
      inFlight += pending;
      if (oldest !== undefined) oldestMs = Math.min(oldestMs, Number(oldest.slice(0, oldest.indexOf("-"))));
    }
    const isPaused = paused.has(pauseField({ workflow })) || paused.has(pauseField({ workflow, step }));
    const view: QueueView = {
      ...{ workflow, version, step, inFlight, delayed, limited, dead },
      depth: depths.high + depths.normal + depths.low,
      oldestAgeMs: now - oldestMs,
      workers: alive.filter((worker) => worker.streams.includes(keys.step(graph, step))).length,
      paused: isPaused,
    };
    return lanes.length > 1 ? { ...view, lanes: depths } : view;
  });
}

/** The figures of partitions, together: each has the same steps in the same order. */
export function sumQueues(parts: readonly QueueView[][]): QueueView[] {
  const [first = [], ...others] = parts;
  return first.map((view, i) => {
    const all = [view, ...others.map((part) => part[i]!)];
    const sum = (of: (each: QueueView) => number) => all.reduce((total, each) => total + of(each), 0);
    const lanes = all.some((each) => each.lanes !== undefined)
      ? { lanes: { high: 0, normal: 0, low: 0 } as Record<Priority, number> }
      : {};
    for (const lane of lanes.lanes === undefined ? [] : PRIORITIES)
      lanes.lanes![lane] = sum((each) => each.lanes?.[lane] ?? (lane === "normal" ? each.depth : 0));
    return {
      ...view,
      ...{ depth: sum((each) => each.depth), inFlight: sum((each) => each.inFlight) },
      ...{ delayed: sum((each) => each.delayed), limited: sum((each) => each.limited), dead: sum((each) => each.dead) },
      oldestAgeMs: Math.max(...all.map((each) => each.oldestAgeMs)),
      // One serves a step in all partitions, or is not at work.
      workers: Math.min(...all.map((each) => each.workers)),
      paused: all.some((each) => each.paused),
      ...lanes,
    };
  });
}

function pendingOf(groups: unknown[][]): number {
  for (const group of groups) {
    const fields = new Map<unknown, unknown>();
    for (let i = 0; i + 1 < group.length; i += 2) fields.set(group[i], group[i + 1]);
    if (fields.get("name") === GROUP) return Number(fields.get("pending"));
  }
  return 0;
}
