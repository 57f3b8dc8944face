import { vi } from "vitest";
import { connectTo, keysLike } from "../redis-client.ts";
import { type Case, caseOf, type Policy, type Violation } from "./case.ts";
import type { Journal } from "./journal.ts";
import { nothingLeftBehind, tenantsAgree, wholeOrAbsent } from "./of-keys.ts";
import {
  acknowledgedRunsEnd,
  attemptsWithinPolicy,
  effectsOfAttempts,
  eventsWithoutGap,
  inputsAreOutputs,
  oneTransitionEach,
} from "./of-runs.ts";
import type { Schedule } from "./schedule.ts";
import { TIMEOUT_MS } from "./settings.ts";
import { readWorld } from "./world.ts";

/** The nine, in the order of their numbers. */
const INVARIANTS: ((all: Case) => Violation[])[] = [
  acknowledgedRunsEnd,
  oneTransitionEach,
  inputsAreOutputs,
  attemptsWithinPolicy,
  effectsOfAttempts,
  nothingLeftBehind,
  eventsWithoutGap,
  wholeOrAbsent,
  tenantsAgree,
];

export interface CheckOptions {
  /** Of every server that holds keys of the namespace: of a cluster its masters. */
  urls: readonly string[];
  namespace: string;
  journal: Journal;
  policy: Policy;
  schedule: Schedule;
  /** How long the runs have to end, once the faults are over. Default half the test's time. */
  settleMs?: number;
}

/** What a check has looked at, so that a test can say that it was something. */
export interface Checked {
  runs: number;
  completed: number;
  effects: number;
}

/**
 * Says whether all faults were injected that were planned; then waits until no run is live, and holds what Redis has and what
 * the journal says against the nine invariants.
 *
 * @throws Error with the seed, the schedule of faults, every kind of violation, and all that is known of the first run
 */
export async function check(options: CheckOptions): Promise<Checked> {
  const { urls, namespace, journal, policy, schedule } = options;
  schedule.complete();
  await settled(urls, namespace, options.settleMs ?? TIMEOUT_MS / 2);
  const all = caseOf(await readWorld(urls, namespace), namespace, journal, policy);
  const violations = INVARIANTS.flatMap((invariant) => invariant(all));
  if (violations.length > 0) throw new Error(report(violations, all, schedule));
  const runs = [...all.runs.values()];
  return {
    runs: runs.length,
    completed: runs.filter(({ fields }) => fields.status === "completed").length,
    effects: journal.of("effect").length,
  };
}

/** The same without waiting: of what is given, what goes against which. */
export function violationsOf(all: Case): Violation[] {
  return INVARIANTS.flatMap((invariant) => invariant(all));
}

/** No run is live; or the time is over, and the check will say which. */
async function settled(urls: readonly string[], namespace: string, timeoutMs: number): Promise<void> {
  const clients = urls.map(connectTo);
  const live = async () => {
    let count = 0;
    for (const client of clients)
      for (const status of ["queued", "running", "waiting"])
        for (const key of await keysLike(client, `{${namespace}:*}:runs:*:status:${status}`))
          count += await client.zcard(key);
    return count;
  };
  try {
    await vi.waitFor(
      async () => {
        if ((await live()) > 0) throw new Error("Runs are live still.");
      },
      { timeout: timeoutMs, interval: 50 },
    );
  } catch {
    console.log(`${await live()} runs have not ended ${timeoutMs} ms after the last fault`);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

const SHOWN = 10;

function report(violations: Violation[], { runs, journal, world }: Case, schedule: Schedule): string {
  const lines = violations.map(({ rule, run, what }) => `(${rule}) ${run === undefined ? "" : `run ${run} `}${what}`);
  const first = violations.find(({ run }) => run !== undefined)?.run;
  const known = runs.get(first ?? "");
  const holds = (value: unknown) => JSON.stringify(value).includes(first!);
  const shown =
    first === undefined
      ? []
      : [
          `The first run, ${first}:`,
          JSON.stringify(known?.fields ?? "is not there", null, 2),
          ...(known?.log ?? []).map((line) => JSON.stringify(line)),
          ...journal
            .lines()
            .filter(holds)
            .map((line) => `journal: ${JSON.stringify(line)}`),
          ...[...world.streams].flatMap(([key, stream]) =>
            [...stream.entries].filter(holds).map((entry) => `${key}: ${JSON.stringify(entry)}`),
          ),
        ];
  return [
    `${violations.length} violations of the invariants:`,
    ...lines.slice(0, SHOWN),
    ...(lines.length > SHOWN ? [`and ${lines.length - SHOWN} more`] : []),
    String(schedule),
    ...shown,
  ].join("\n");
}
