import { type Case, isEnded, isSame, type RunCase, recordOf, type Violation } from "./case.ts";

const of = (rule: number, run: RunCase | { id: string }, what: string): Violation => ({ rule, run: run.id, what });

/** 1: every acknowledged run is present and ended. So is every other that is stored. */
export function acknowledgedRunsEnd({ runs, journal }: Case): Violation[] {
  const acknowledged = journal.of("acknowledged");
  const lost = acknowledged.filter(({ run }) => !runs.has(run));
  return [
    ...lost.map(({ run, key }) => of(1, { id: run }, `was acknowledged for ${key}, and is not there`)),
    ...[...runs.values()].filter((run) => !isEnded(run)).map((run) => of(1, run, `is ${run.fields.status} still`)),
  ];
}

/**
 * 2: one transition per run and step, each after those of what it comes after, and of the attempt that began last: what an
 * attempt comes to that was taken over is refused.
 */
export function oneTransitionEach({ runs }: Case): Violation[] {
  return [...runs.values()].flatMap((run) => transitionsOf(run));
}

function transitionsOf(run: RunCase): Violation[] {
  const found: Violation[] = [];
  const completed = new Set<string>();
  const begun = new Map<string, number>();
  for (const { type, step = "", item, attempt = 0 } of run.log) {
    const name = item === undefined ? step : `${step} ${item}`;
    if (type === "step.started") begun.set(name, Math.max(attempt, begun.get(name) ?? 0));
    if (type !== "step.completed" && type !== "step.skipped") continue;
    if (attempt < (begun.get(name) ?? 0))
      found.push(of(2, run, `${name} completed as attempt ${attempt}, and ${begun.get(name)} had begun`));
    if (completed.has(name)) found.push(of(2, run, `${name} completed twice`));
    completed.add(name);
    if (item !== undefined) continue;
    const before = run.graph?.steps.find((each) => each.name === step)?.after ?? [];
    for (const each of before) if (!completed.has(each)) found.push(of(2, run, `${step} came before ${each}`));
  }
  for (const { name } of run.graph?.steps ?? []) {
    const isRecorded = recordOf(run, name)?.status === "completed";
    if (isRecorded !== (completed.has(name) && recordOf(run, name)?.status !== "skipped"))
      found.push(of(2, run, `${name} is ${recordOf(run, name)?.status}, and its log says otherwise`));
    if (run.fields.status === "completed" && !completed.has(name)) found.push(of(2, run, `ended without ${name}`));
  }
  return found;
}

/** 3: each step was given what is recorded as the output of the step before it; the first, the run's input. */
export function inputsAreOutputs({ runs }: Case): Violation[] {
  return [...runs.values()].flatMap((run) =>
    run.effects.flatMap((effect) => {
      const [before, ...more] = run.graph?.steps.find(({ name }) => name === effect.step)?.after ?? [];
      if (more.length > 0) return [];
      const stored = before === undefined ? run.fields.input : run.fields[`output:${before}`];
      if (stored !== undefined && isSame(JSON.parse(stored), effect.input)) return [];
      return [of(3, run, `${effect.step} got ${JSON.stringify(effect.input)}, and ${before} has ${stored}`)];
    }),
  );
}

/** 4: no step was tried more often than its policy says. */
export function attemptsWithinPolicy({ runs, policy }: Case): Violation[] {
  const most = policy.attempts + policy.crashes;
  return [...runs.values()].flatMap((run) => {
    const records = (run.graph?.steps ?? []).map(({ name }) => ({ name, record: recordOf(run, name) }));
    const over = records.filter(
      ({ record }) => record && (record.failures > policy.attempts || record.crashes > policy.crashes),
    );
    return [
      ...over.map(({ name }) => of(4, run, `${name} has ${run.fields[`step:${name}`]}`)),
      ...run.effects
        .filter(({ attempt }) => attempt > most)
        .map(({ step, attempt }) => of(4, run, `${step} was run as attempt ${attempt}`)),
    ];
  });
}

/** 5: a completed step has a side effect, the recorded output is of one of them, and no attempt has two. */
export function effectsOfAttempts({ runs, policy }: Case): Violation[] {
  return [...runs.values()].flatMap((run) => {
    const found: Violation[] = [];
    for (const { name } of run.graph?.steps ?? []) {
      const effects = run.effects.filter(({ step }) => step === name);
      const fences = new Set(effects.map(({ fence }) => fence));
      if (fences.size < effects.length && !policy.groupsWereLost)
        found.push(of(5, run, `an attempt on ${name} ran twice`));
      if (recordOf(run, name)?.status !== "completed") continue;
      const stored = run.fields[`output:${name}`];
      if (effects.length === 0) found.push(of(5, run, `${name} completed and was never run`));
      else if (stored === undefined || !effects.some(({ output }) => isSame(output, JSON.parse(stored))))
        found.push(of(5, run, `${name} has an output that no attempt gave: ${stored}`));
    }
    return found;
  });
}

/** 7: events are numbered 1 to n without a gap, for those who watched too, and the end is the last. */
export function eventsWithoutGap({ runs, journal }: Case): Violation[] {
  const found: Violation[] = [];
  for (const run of runs.values()) {
    if (run.fields.trimmed === "0" && run.log[0]?.type !== "run.queued")
      found.push(of(7, run, `its log begins with ${run.log[0]?.type}`));
    if (isEnded(run) && run.log.at(-1)?.type !== `run.${run.fields.status}`)
      found.push(of(7, run, `is ${run.fields.status}, and its log ends with ${run.log.at(-1)?.type}`));
  }
  const watched = Map.groupBy(journal.of("saw"), ({ watcher, run }) => `${watcher} ${run}`);
  for (const [who, saw] of watched) {
    const id = saw[0]!.run;
    for (const [i, { seq }] of saw.entries())
      if (seq !== i + 1) {
        found.push(of(7, { id }, `${who} saw event ${seq} as number ${i + 1}`));
        break;
      }
    const run = runs.get(id);
    if (run === undefined || !saw.at(-1)!.type.match(/^run\.(completed|failed|cancelled)$/)) continue;
    const last = Number(run.fields.trimmed) + run.log.length;
    if (saw.length < last) found.push(of(7, run, `${who} saw ${saw.length} of ${last} events`));
  }
  return found;
}
