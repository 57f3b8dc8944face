import { randomInt } from "node:crypto";

/**
 * What the fault tests read: `FAULTS=long` for the larger sizes, `SEED=N` to replay a schedule; and the soak, `MINUTES=N` for
 * how long it goes on.
 */
const { FAULTS, SEED, MINUTES = "60" } = process.env;

export const SOAK_MINUTES = Number(MINUTES);

/** One size for CI, and a larger one. */
export function sized<T>(ci: T, long: T): T {
  return FAULTS === "long" ? long : ci;
}

/** How long a test of that size may take, in ms. */
export const TIMEOUT_MS = sized(60_000, 10_800_000);

export function newSeed(): number {
  return SEED === undefined ? randomInt(1, 2 ** 31) : Number(SEED);
}
