import type { Holding } from "./holding.ts";
import type { End } from "./outcomes.ts";
import { UNIT_MS } from "./shapes.ts";
import { type ModelEntry, nameOf, type Standing, standing } from "./state.ts";

/** What an attempt has come to, and all that follows from it. */
export function finish(holding: Holding, entry: ModelEntry, end: End): void {
  const { of } = entry;
  const { run, step } = of;
  const tell = (type: string) => run.log.push(`${type} ${nameOf(of)} ${of.attempt}`);
  if (end.kind === "complete") {
    Object.assign(of, { status: "completed", place: undefined });
    tell("step.completed");
    if (of.item !== undefined) endItem(holding, of, end.output);
    else {
      run.outputs[step.name] = end.output;
      settle(holding, of, true, end.output);
    }
  } else if (end.kind === "skip") {
    Object.assign(of, { status: "skipped", place: undefined });
    run.log.push(`step.skipped ${step.name}`);
    settle(holding, of, false, "");
  } else if (end.kind === "release") {
    holding.queue(of, { ...counts(of), wake: entry.wake, input: entry.input });
  } else if (end.kind === "expand") {
    const items = { ...run.shape.items[step.name]!, begun: 0, done: 0, failed: 0, live: new Map(), outputs: {} };
    run.items.set(step.name, items);
    Object.assign(of, { status: "running", place: "items" });
    while (items.begun < Math.min(items.total, items.limit)) beginItem(holding, of);
  } else if (end.kind === "park") {
    // A signal that came first is waited for no longer.
    if (end.reason === "timeout" && run.signalled.has(step.name))
      holding.queue(of, { ...counts(of), wake: "signal", input: entry.input });
    else Object.assign(of, { status: "waiting", place: holding.timer(of, end.reason, end.delayMs) });
  } else if (end.kind === "retry") {
    of.failures += 1;
    const reason = entry.wake === "" ? "retry" : `retry:${entry.wake}`;
    Object.assign(of, { status: "retrying", place: holding.timer(of, reason, UNIT_MS) });
    tell("step.retrying");
  } else if (end.kind === "collect") {
    Object.assign(of, { status: "failed", place: undefined });
    tell("step.failed");
    endItem(holding, of, undefined);
  } else fail(holding, of, entry);
}

const counts = ({ failures, crashes }: Standing) => ({ failures, crashes });

/** Of a step that is done or was not taken: what comes after it begins, or is not taken either. */
function settle(holding: Holding, of: Standing, taken: boolean, output: string): void {
  const { run } = of;
  for (const next of run.steps.values()) {
    const { after, name } = next.step;
    if (!after.includes(of.step.name)) continue;
    const join = run.joins.get(name) ?? { ended: 0, taken: 0 };
    join.ended += 1;
    join.taken += taken ? 1 : 0;
    run.joins.set(name, join);
    if (join.ended < after.length) continue;
    if (join.taken > 0) holding.queue(next, { input: after.length > 1 ? "" : output });
    else {
      next.status = "skipped";
      run.log.push(`step.skipped ${name}`);
      settle(holding, next, false, "");
    }
  }
  const isEnd = ({ step }: Standing) => ![...run.steps.values()].some((each) => each.step.after.includes(step.name));
  const ends = [...run.steps.values()].filter(isEnd);
  if (!ends.every(({ status }) => status === "completed" || status === "skipped") || run.status === "completed") return;
  run.status = "completed";
  run.log.push("run.completed");
}

function beginItem(holding: Holding, { run, step }: Standing): void {
  const items = run.items.get(step.name)!;
  const item = standing(run, step, items.begun);
  items.live.set(items.begun, item);
  items.begun += 1;
  holding.queue(item);
}

/** Whatever is committed of an item begins the next, up to the limit. */
export function beginItems(holding: Holding, of: Standing): void {
  const items = of.run.items.get(of.step.name)!;
  const room = () => items.begun < items.total && items.begun - items.done - items.failed < items.limit;
  for (let i = 0; i < 2 && room(); i += 1) beginItem(holding, of);
}

function endItem(holding: Holding, of: Standing, output: string | undefined): void {
  const { run, step } = of;
  const items = run.items.get(step.name)!;
  items.live.delete(of.item!);
  if (output === undefined) items.failed += 1;
  else {
    items.done += 1;
    items.outputs[of.item!] = output;
  }
  if (items.done + items.failed < items.total) {
    beginItems(holding, of);
    return;
  }
  const whole = run.steps.get(step.name)!;
  whole.status = "completed";
  whole.place = undefined;
  run.outputs[step.name] = `#${run.id}|${step.name}|${items.total}|${items.collects ? "collect" : "fail"}`;
  run.log.push(`step.completed ${step.name} ${whole.attempt}`);
  settle(holding, whole, true, "");
}

function fail(holding: Holding, of: Standing, entry: ModelEntry): void {
  const { run, step } = of;
  const letter = { of, attempt: of.attempt, entry };
  holding.letters.push(letter);
  run.log.push(`step.failed ${nameOf(of)} ${of.attempt}`, "run.failed");
  run.status = "failed";
  const whole = run.steps.get(step.name)!;
  for (const each of new Set([of, whole])) {
    each.status = "failed";
    each.place = letter;
  }
  holding.endLive(run);
}
