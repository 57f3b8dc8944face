import { type Fleet, openFleet, type WorkerProcess } from "../fleet.ts";
import journeys, { RETRY } from "../programs/journey.ts";
import { redisUrl } from "../redis.ts";
import { temporaryDir } from "../run.ts";
import { type Checked, type CheckOptions, check } from "./check.ts";
import { Journal } from "./journal.ts";
import { Load, type LoadOptions } from "./load.ts";
import { Schedule } from "./schedule.ts";
import { TIMEOUT_MS } from "./settings.ts";

export interface FaultBenchOptions {
  /** Where the callers find Redis. Default: the suite's. */
  url?: string;
  /** Where the workers do. */
  workersUrl?: string;
  /** Where the check reads, past every proxy. Default `url`. */
  urls?: readonly string[];
  /** How many faults must be injected. */
  faults: number;
  load?: Partial<Omit<LoadOptions, "millrace" | "journal" | "random">>;
  /** Options of every worker, beside its lease. */
  worker?: readonly string[];
  leaseMs?: number;
  /** How long the test may take. Default: as long as any fault test of that size. */
  timeoutMs?: number;
}

/** Callers, worker processes, a schedule of faults and the check, over one namespace. */
export interface FaultBench extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly schedule: Schedule;
  readonly load: Load;
  /** Starts so many more workers. */
  workers(count: number): Promise<WorkerProcess[]>;
  /** Waits until no run is live, and holds everything against the nine invariants. @throws as `check` */
  check(options?: Partial<CheckOptions>): Promise<Checked>;
}

/** Long enough for a busy machine to beat in time. */
const LEASE_MS = 1_500;

/** For `await using`: the processes end with it. */
export async function faultBench(options: FaultBenchOptions): Promise<FaultBench> {
  const { url = redisUrl, leaseMs = LEASE_MS, worker = [], timeoutMs = TIMEOUT_MS } = options;
  const journal = new Journal(`${await temporaryDir()}/journal`);
  const schedule = new Schedule(options.faults);
  const fleet = await openFleet(url, {
    workflows: journeys,
    module: "tests/support/programs/journey.ts",
    env: { JOURNAL: journal.path, LOG_LEVEL: "warning" },
    ...(options.workersUrl === undefined ? {} : { workersUrl: options.workersUrl }),
  });
  const { random } = schedule;
  const load = new Load({ millrace: fleet.millrace, journal, random, timeoutMs: 0.9 * timeoutMs, ...options.load });
  const args = ["--lease-ms", String(leaseMs), ...worker];
  return {
    ...{ fleet, journal, schedule, load },
    workers: (count) => Promise.all(Array.from({ length: count }, () => fleet.start(...args))),
    check(more) {
      const policy = { attempts: RETRY.attempts, crashes: 3 };
      const of = { urls: options.urls ?? [url], namespace: fleet.namespace, journal, policy, schedule };
      return check({ ...of, settleMs: timeoutMs / 2, ...more });
    },
    async [Symbol.asyncDispose]() {
      load.close();
      await fleet[Symbol.asyncDispose]();
    },
  };
}
