import type { Model } from "./model.ts";
import { atWork, LIVE_RUN, type ModelLetter, type ModelRun, nameOf, type Standing } from "./state.ts";

/** A namespace as both sides show it: what is compared after each command. */
export interface Shown {
  runs: Record<string, ShownRun>;
  /** Of each step's stream its entries in order, with who has them in hand. */
  streams: Record<string, string[]>;
  timers: string[];
  /** How many timers are counted for each step. */
  delayed: Record<string, number>;
  /** Of each step its dead letters in order. */
  letters: Record<string, string[]>;
  letterIds: number;
  indexes: Record<string, string[]>;
}

export interface ShownRun {
  status: string;
  /** Status, attempt, failures, crashes, and the kind of place: `-` for none. */
  steps: Record<string, string>;
  items: Record<string, { counts: string; live: Record<string, string>; outputs: Record<string, string> }>;
  outputs: Record<string, string>;
  signalled: Record<string, string>;
  /** How many steps are at work, where that is counted. */
  active?: number;
  log: string[];
}

export function shownModel(model: Model): Shown {
  const shown: Shown = { runs: {}, streams: {}, timers: [], delayed: {}, letters: {}, letterIds: 0, indexes: {} };
  for (const run of model.runs) {
    shown.runs[run.id] = shownRun(run, model.letters);
    shown.indexes[run.status] = [...(shown.indexes[run.status] ?? []), run.id].sort();
  }
  for (const [key, entries] of model.streams) {
    if (entries.length === 0) continue;
    shown.streams[key] = entries.map(({ of, wake, failures, crashes, input, pending }) => {
      const held = pending === undefined ? "waits" : `${pending.consumer} ${pending.count}`;
      return `${of.run.id} ${nameOf(of)} ${wake || "-"} ${failures} ${crashes} ${input || "-"} ${held}`;
    });
  }
  for (const { of, reason } of model.timers) {
    shown.timers.push(`${reason} ${of.run.id} ${nameOf(of)}`);
    const step = `${of.run.shape.definition.name}:${of.step.name}`;
    shown.delayed[step] = (shown.delayed[step] ?? 0) + 1;
  }
  shown.timers.sort();
  for (const { of, attempt } of model.letters) {
    const step = `${of.run.shape.definition.name}:${of.step.name}`;
    shown.letters[step] = [...(shown.letters[step] ?? []), `${of.run.id} ${nameOf(of)} ${attempt}`];
  }
  shown.letterIds = model.letters.length;
  return shown;
}

function shownRun(run: ModelRun, letters: readonly ModelLetter[]): ShownRun {
  const shownOf = (each: Standing) => shownStanding(each, letters);
  const items: ShownRun["items"] = {};
  for (const [step, { total, begun, done, failed, live, outputs }] of run.items) {
    const standings = [...live].map(([n, each]) => [n, shownOf(each)] as const);
    items[step] = { counts: `${total} ${begun} ${done} ${failed}`, live: Object.fromEntries(standings), outputs };
  }
  const began = [...run.steps.values()].filter(({ status }) => status !== "pending");
  const steps = Object.fromEntries(began.map((each) => [each.step.name, shownOf(each)]));
  const signalled = Object.fromEntries(run.signalled);
  const { status, outputs, log } = run;
  // A run that has failed counts what it had going until it is replayed; nobody asks.
  const active = LIVE_RUN.has(status) && !run.shape.isChain ? { active: atWork(run) } : {};
  return { status, steps, items, outputs, signalled, ...active, log };
}

function shownStanding(
  { status, attempt, failures, crashes, place }: Standing,
  letters: readonly ModelLetter[],
): string {
  return `${status} ${attempt} ${failures} ${crashes} ${kindOf(place, letters)}`;
}

function kindOf(place: Standing["place"], letters: readonly ModelLetter[]): string {
  if (place === undefined) return "-";
  if (place === "items") return "items";
  if ("due" in place) return "timer";
  if ("wake" in place) return "entry";
  return letters.includes(place) ? "letter" : "letter that is gone";
}
