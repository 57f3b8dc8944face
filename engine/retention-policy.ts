import { DefinitionError } from "./errors.ts";

/** How long the ended runs of a workflow are kept. Runs that have not ended are kept in any case. */
export interface RetentionSettings {
  /** So many ms after its end. Default 7 days; `Infinity`: for ever. */
  ageMs?: number;
  /** The same for a failed run whose dead letter is still there, which goes with it. Default 30 days. */
  deadLetterAgeMs?: number;
  /** The newest so many runs of the workflow: an older one goes once it has ended. Default: any number. */
  count?: number;
  /** As many of the newest runs as take this many bytes in Redis, about. Default: any number. */
  bytes?: number;
}

/** The settings, complete: `Infinity` where there is no limit. */
export type RetentionPolicy = Readonly<Required<RetentionSettings>>;

const DAY_MS = 86_400_000;

export const DEFAULT_RETENTION: RetentionPolicy = {
  ageMs: 7 * DAY_MS,
  deadLetterAgeMs: 30 * DAY_MS,
  count: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
};

const NAMES = Object.keys(DEFAULT_RETENTION) as (keyof RetentionPolicy)[];
const ATOMS = { ageMs: "ms", deadLetterAgeMs: "ms", count: "runs", bytes: "bytes" } as const;

/** @throws DefinitionError naming the workflow and the setting */
export function retentionPolicy(where: string, settings: RetentionSettings): RetentionPolicy {
  for (const [name, value] of Object.entries(settings)) {
    if (!Object.hasOwn(DEFAULT_RETENTION, name))
      throw new DefinitionError(`${where}: retention has no ${JSON.stringify(name)}; it has ${NAMES.join(", ")}`);
    if (value !== undefined && !(value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= 0)))
      throw new DefinitionError(
        `${where}: retention.${name} must be a whole number of ${ATOMS[name as keyof typeof ATOMS]}, or Infinity`,
      );
  }
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return { ...DEFAULT_RETENTION, ...Object.fromEntries(given) };
}

/** As it is stored: null where there is no limit. */
export function encodePolicy(policy: RetentionPolicy): string {
  return JSON.stringify(policy, NAMES);
}

/** What was stored; the default for what cannot be read, which another version may have written. */
export function decodePolicy(json: string | undefined): RetentionPolicy {
  if (json === undefined) return DEFAULT_RETENTION;
  try {
    const stored = JSON.parse(json) as Record<string, number | null>;
    return retentionPolicy(
      "",
      Object.fromEntries(NAMES.map((name) => [name, stored[name] === null ? Number.POSITIVE_INFINITY : stored[name]])),
    );
  } catch {
    return DEFAULT_RETENTION;
  }
}

/** An ended run as it is judged. */
export interface EndedRun {
  endedAt: number;
  hasDeadLetter: boolean;
  /** Whether it is older than the newest runs that `count` and `bytes` let stay. */
  surplus: boolean;
}

/** Whether a run is no longer kept. One with a dead letter waits for an operator: its age alone counts. */
export function isDue(policy: RetentionPolicy, now: number, run: EndedRun): boolean {
  if (run.hasDeadLetter) return run.endedAt + policy.deadLetterAgeMs <= now;
  return run.surplus || run.endedAt + policy.ageMs <= now;
}

/**
 * How many of the newest runs fit into so many bytes.
 *
 * @param sizes of a sample, the newest first
 * @param stride how many runs each of the sample stands for
 */
export function fitting(bytes: number, sizes: readonly number[], stride: number): number {
  let sum = 0;
  for (const [i, size] of sizes.entries()) {
    if (sum + size * stride > bytes) return Math.floor(i * stride + (bytes - sum) / size);
    sum += size * stride;
  }
  return Number.POSITIVE_INFINITY;
}
