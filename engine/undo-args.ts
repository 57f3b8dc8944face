import { type CommitItem, wakeRow } from "./commit-args.ts";
import { attemptOf, type Entry } from "./entry.ts";
import { delayedField, type Graph, shapeOf } from "./graph.ts";
import { deadLetterId } from "./ids.ts";
import type { PartitionKeys } from "./keys.ts";
import { brief, stepEvent } from "./step-events.ts";
import { encodeTimerRow } from "./timer-rows.ts";
import type { Transition } from "./transition.ts";

/** The event data that tells a step's undo from the step itself. */
const UNDO = { undo: true } as const;

/** The steps of a graph that have an undo. */
export function undoSteps(graph: Graph): string[] {
  return shapeOf(graph)
    .steps.filter((step) => step.undo)
    .map((step) => step.name);
}

/**
 * What stands for an entry in the id of its dead letter: entries of one millisecond in different streams have one id, and
 * several of a run's undos may go to dead letters in one.
 */
function undoMark({ id, stream: { graph, step } }: Entry): string {
  const [ms, seq] = id.split("-");
  return `${ms}-${(shapeOf(graph).byName.get(step.name)!.index + 1) * 1_000_000 + Number(seq)}`;
}

/** The KEYS and ARGV of the script `commit-undo`. Its contract is in the script. */
export function undoArgs(
  keys: PartitionKeys,
  consumer: string,
  { entry, startedAgoMs, batch, events, usage, end }: CommitItem,
): { keys: string[]; args: (string | number)[] } {
  const { run, tenant, stream, id, count, failures, crashes } = entry;
  const { graph, step } = stream;
  const names = undoSteps(graph);
  const failed = failures + (end?.kind === "retry" ? 1 : 0);
  const byKey = [...(usage?.byKey ?? [])];
  const uses = usage === undefined ? [] : [usage, ...byKey.map(([, used]) => used)];
  const [kind, more] = end === undefined ? ["events", []] : endArgs(entry, end);
  return {
    keys: [
      ...[keys.run(run), keys.log(run), keys.timers(), keys.delayed(), stream.key, keys.dead(graph, step.name)],
      keys.deadLetters(tenant),
      ...["running", "failed", "cancelled"].map((status) => keys.runsByStatus(tenant, status)),
      keys.ends(tenant),
      ...names.map((name) => keys.step(graph, name, stream.lane)),
      ...(usage === undefined ? [] : [keys.usage(tenant), ...byKey.map(([key]) => keys.usageOfKey(tenant, key))]),
    ],
    args: [
      ...[run, tenant, step.name, consumer, id, count, kind, `${attemptOf(entry)} ${failed} ${crashes}`],
      ...[startedAgoMs ?? "", stepEvent("step.started", entry, UNDO), batch, events.length],
      ...[uses.length, graph.workflow, ...uses.flatMap(({ tokens, billionths }) => [tokens, billionths])],
      ...names,
      ...events,
      ...more,
    ],
  };
}

function endArgs(entry: Entry, end: Transition): [kind: string, args: (string | number)[]] {
  const { graph, step } = entry.stream;
  switch (end.kind) {
    case "release":
      return ["released", [entry.failures, entry.crashes]];
    case "retry": {
      const event = stepEvent("step.retrying", entry, { error: brief(end.error), delayMs: end.delayMs, ...UNDO });
      const row = encodeTimerRow(wakeRow("retry:undo", entry, entry.id));
      return ["retrying", [JSON.stringify(end.error), event, end.delayMs, row, delayedField(graph, step.name)]];
    }
    case "dead": {
      const mark = undoMark(entry);
      const deadLetter = deadLetterId(entry.run, mark);
      const event = stepEvent("step.failed", entry, { error: brief(end.error), deadLetter, ...UNDO });
      return ["failed", [JSON.stringify(end.error), event, deadLetter, mark]];
    }
    default:
      return ["completed", [stepEvent("step.completed", entry, UNDO)]];
  }
}
