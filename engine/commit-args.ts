import { type Arg, Group } from "./commit-group.ts";
import { attemptOf, type Entry } from "./entry.ts";
import type { ErrorRecord } from "./errors.ts";
import { encodeEvent } from "./events.ts";
import { shapeOf } from "./graph.ts";
import { deadLetterId } from "./ids.ts";
import type { PartitionKeys } from "./keys.ts";
import { entryInput } from "./payload.ts";
import { brief, stepEvent } from "./step-events.ts";
import { encodeTimerRow, type TimerRow } from "./timer-rows.ts";
import type { Parking, Transition } from "./transition.ts";
import type { Spent } from "./usage.ts";
import { PRIORITIES } from "./views.ts";

/** What a held entry has come to, to be committed. */
export interface CommitItem {
  entry: Entry;
  /** How long ago the attempt started, in ms, if that has not been told yet. */
  startedAgoMs?: number;
  /** The number of this batch of the attempt's events: a batch that is sent twice is stored once. */
  batch: number;
  /** Encoded events. */
  events: string[];
  /** How far the step is, as JSON, if that has changed. */
  progress?: { progress: number; message?: string };
  /** What was used since it was told last. It belongs to the batch, and is counted with it once. */
  usage?: Spent;
  /** How many tokens the attempt has spent, with its end. */
  spent?: number;
  /** How the attempt ended, if it did. */
  end?: Transition;
}

/** How many more entries than those of a group to ask for when looking for owners: others may lie between them. */
const OWNER_SLACK = 64;

/** The KEYS and ARGV of the script `commit` for up to 100 items of one partition. Its contract is in the script. */
export function commitArgs(
  keys: PartitionKeys,
  consumer: string,
  items: readonly CommitItem[],
): { keys: string[]; args: Arg[] } {
  const group = new Group(keys);
  const body: Arg[] = [];
  for (const item of items) pushItem(body, group, item);
  for (const [i, item] of items.entries())
    if (item.usage !== undefined) pushUsage(body, group, i + 1, item, item.usage);
  const args: Arg[] = [consumer, group.kinds, keys.run("").length, group.tenants.size, group.graphs.size];
  args.push(group.streams.size, group.forms.size, items.length);
  for (const { args: tenant } of group.tenants.values()) for (const arg of tenant) args.push(arg);
  for (const { args: graph } of group.graphs.values()) for (const arg of graph) args.push(arg);
  for (const { args: stream, first, last, count, place } of group.streams.values())
    args.push(...stream, first, last, count + OWNER_SLACK, ...place);
  for (const form of group.forms.values()) for (const arg of form.args) args.push(arg);
  for (const arg of body) args.push(arg);
  return { keys: group.keys, args };
}

const KINDS = {
  ...{ complete: "completed", skip: "skipped", park: "parked", expand: "expanded" },
  ...{ gate: "gated", leave: "left", retry: "retrying", collect: "collected", dead: "failed", release: "released" },
} as const;

function pushItem(body: Arg[], group: Group, committed: CommitItem): void {
  const { entry, end, startedAgoMs, events, batch, progress, spent = 0, usage } = committed;
  const { id, count, run, tenant, failures, crashes, item, stream } = entry;
  const kind = end === undefined ? "events" : KINDS[end.kind];
  const failed = failures + (end?.kind === "retry" ? 1 : 0);
  const shape = shapeOf(stream.graph);
  const form = group.form(
    ...[item === undefined ? kind : `${kind}#`, group.stream(stream, id), count, group.tenant(tenant, shape)],
    ...[`${attemptOf(entry)} ${failed} ${crashes}`, startedAgoMs ?? "", events.length, usage === undefined ? 0 : 1],
  );
  body.push(form, id, group.run(run, shape));
  if (item !== undefined) {
    const thousandths = progress === undefined || stream.step.work.kind !== "map" ? "" : progress.progress * 1_000;
    body.push(item, group.chunk(entry, item), thousandths === "" ? "" : Math.round(thousandths));
  }
  if (stream.gate !== undefined) body.push(spent);
  if (events.length > 0) body.push(batch, progress === undefined ? "" : JSON.stringify(progress), ...events);
  if (end !== undefined) pushEnd(body, group, entry, end);
}

function pushUsage(body: Arg[], group: Group, number: number, { entry, batch }: CommitItem, usage: Spent): void {
  const { tenant, run, id } = entry;
  body.push(
    number,
    batch,
    usage.tokens,
    usage.billionths,
    deadLetterId(run, id),
    group.usage(tenant),
    usage.byKey.size,
  );
  for (const [key, { tokens, billionths }] of usage.byKey) body.push(group.usage(tenant, key), tokens, billionths);
}

function pushEnd(body: Arg[], group: Group, entry: Entry, end: Transition): void {
  const { failures, crashes, item = "", wake = "" } = entry;
  switch (end.kind) {
    case "complete":
      body.push(end.output, entryInput(end.output) === "" ? "" : "=");
      if (item !== "") body.push(end.turn ?? collecting(entry));
      break;
    case "gate":
      body.push(end.key, entry.input, PRIORITIES.indexOf(entry.stream.lane) + 1);
      break;
    case "release":
    case "leave":
      body.push(failures, crashes, entry.input, item, wake);
      break;
    case "park":
      pushParked(body, group, entry, end.parking);
      break;
    case "expand":
      body.push(end.total, end.limit, end.first);
      break;
    case "retry": {
      // What it was woken by is not forgotten when the step is tried again.
      const row = encodeTimerRow(wakeRow(wake === "" ? "retry" : `retry:${wake}`, entry, entry.id));
      const data = { error: brief(end.error), delayMs: end.delayMs };
      body.push(JSON.stringify(end.error), stepEvent("step.retrying", entry, data), end.delayMs, row);
      break;
    }
    case "collect":
      body.push(JSON.stringify(end.error), stepEvent("step.failed", entry, { error: brief(end.error) }));
      break;
    case "dead":
      pushFailed(body, entry, end.error);
  }
}

function collecting({ stream: { step } }: Entry): string {
  return step.work.kind === "map" ? step.work.onItemFailure : "fail";
}

function pushParked(body: Arg[], group: Group, entry: Entry, parking: Parking): void {
  const { item = "", input } = entry;
  const row = (reason: string, by = entry.id) => encodeTimerRow(wakeRow(reason, entry, by));
  switch (parking.reason) {
    case "sleep":
      body.push(row("sleep"), "at_ms" in parking ? `@${parking.at_ms}` : parking.delayMs, "", 0, item, input);
      break;
    case "signal":
      body.push(row("timeout"), parking.timeoutMs ?? "", `signal:${entry.stream.step.name}`, 0, item, input);
      break;
    case "child": {
      const { child, detached } = parking;
      body.push(row(detached ? "detached" : "child", child), "", "", group.otherRun(child), item, input);
    }
  }
}

/** The row that puts a step, or an item of it, back into its stream. */
export function wakeRow(reason: string, { run, tenant, item, stream }: Entry, by: string): TimerRow {
  const { workflow, version } = stream.graph;
  const of = { run, tenant, workflow, version: `${version}`, step: stream.step.name, item: `${item ?? ""}` };
  return { kind: "wake", reason, ...of, entry: by };
}

function pushFailed(body: Arg[], entry: Entry, error: ErrorRecord): void {
  const deadLetter = deadLetterId(entry.run, entry.id);
  const data = { error: brief(error), step: entry.stream.step.name, deadLetter };
  body.push(JSON.stringify(error), stepEvent("step.failed", entry, { error: brief(error) }));
  body.push(encodeEvent({ type: "run.failed", data }), deadLetter);
}
