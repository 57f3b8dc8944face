/** What the environment says of how much is measured. */
function number(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!(value >= 1)) throw new Error(`${name} must be a number from 1 on.`);
  return Math.floor(value);
}

function list(name: string): string[] | undefined {
  return process.env[name]?.split(",").map((each) => each.trim());
}

export const settings = {
  /** Chains of a round. */
  runs: number("BENCH_RUNS", 10_000),
  /** Beside one that warms up and is not counted. */
  rounds: number("BENCH_ROUNDS", 5),
  /** Chains one at a time, and calls of each kind, in a round. */
  calls: number("BENCH_CALLS", 300),
  /** Which variants of the throughput, by name; undefined: all. */
  variants: list("BENCH_VARIANTS"),
  /** Runs that wait, for what a backlog costs. */
  backlog: number("BENCH_BACKLOG", 100_000),
  /** Runs that have ended, for what a history costs. */
  history: number("BENCH_HISTORY", 100_000),
  /** Tenants with limits. */
  tenants: number("BENCH_TENANTS", 10_000),
  /** Runs over which the memory of a worker and a gateway is watched. */
  memoryRuns: number("BENCH_MEMORY_RUNS", 100_000),
  /** Of the fan-out: sockets, those that do not read, events a second, for how long. */
  sockets: number("BENCH_SOCKETS", 10_000),
  stalled: number("BENCH_STALLED", 100),
  events: number("BENCH_EVENTS", 2_000),
  seconds: number("BENCH_SECONDS", 10),
  /** Of `uploads`: documents of 100 MB at once. */
  uploads: number("BENCH_UPLOADS", 50),
  /** Of `admissions`: for how long, by how many, and what Redis may take. */
  admissionSeconds: number("BENCH_ADMISSION_SECONDS", 60),
  callers: number("BENCH_CALLERS", 100),
  memoryMb: number("BENCH_MEMORY_MB", 128),
};
