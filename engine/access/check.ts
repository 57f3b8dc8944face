import { InvalidInputError } from "../errors.ts";
import { ID_PATTERN } from "../ids.ts";
import type { CreateKeyOptions, Quota, RateLimit } from "./api.ts";
import { isScope, SCOPES, type Scope } from "./scopes.ts";

const NAME = /^[^\p{Cc}]{1,100}$/u;
const MOST_REQUESTS = 1_000_000;
const MOST_RUNS = 1_000_000_000;
const DAY_MS = 86_400_000;

/** What a key is made of, once that is checked. */
export interface CheckedKey {
  tenant: string;
  name: string;
  scopes: Scope[];
  expiresAt: number | undefined;
  rateLimit: RateLimit | undefined;
  quota: Quota | undefined;
}

/** @throws InvalidInputError naming the option */
export function checkKey(options: CreateKeyOptions, defaultTenant: string): CheckedKey {
  const { tenant = defaultTenant, name, scopes, expiresAt, rateLimit, quota } = options;
  checkTenant(tenant);
  if (typeof name !== "string" || !NAME.test(name))
    throw invalid("name", "Expected 1 to 100 characters, none of them control");
  return {
    ...{ tenant, name, scopes: checkScopes(scopes) },
    expiresAt: expiresAt === undefined ? undefined : checkTime("expiresAt", expiresAt),
    rateLimit: rateLimit === undefined ? undefined : checkRate(rateLimit),
    quota: quota === undefined ? undefined : checkQuota(quota),
  };
}

export function checkTenant(tenant: unknown): void {
  if (typeof tenant !== "string" || !ID_PATTERN.test(tenant))
    throw invalid("tenant", "Expected 1 to 64 of A-Z a-z 0-9 _ -");
}

/** In ms. */
export function checkTime(path: string, time: unknown): number {
  const ms = time instanceof Date ? time.getTime() : Number.NaN;
  if (!(ms >= 0)) throw invalid(path, "Expected a valid Date");
  return ms;
}

export function checkRate({ requests, windowMs }: RateLimit): RateLimit {
  checkWhole("rateLimit.requests", requests, 1, MOST_REQUESTS);
  checkWhole("rateLimit.windowMs", windowMs, 1_000, DAY_MS);
  return { requests, windowMs };
}

/** Of a limit, whose it is. */
export function checkLimited(key: unknown): void {
  if (typeof key !== "string" || !/^[^\p{Cc}]{1,200}$/u.test(key))
    throw invalid("key", "Expected 1 to 200 characters, none of them control");
}

export function checkPerDay(path: string, runs: unknown): number {
  return checkWhole(path, runs, 1, MOST_RUNS);
}

export function checkWhole(path: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw invalid(path, `Expected a whole number from ${least} to ${most}`);
}

function checkScopes(scopes: unknown): Scope[] {
  if (!Array.isArray(scopes) || scopes.length === 0) throw invalid("scopes", "Expected at least one");
  for (const scope of scopes) if (!isScope(scope)) throw invalid("scopes", `Expected only these: ${SCOPES.join(" ")}`);
  return SCOPES.filter((scope) => scopes.includes(scope));
}

function checkQuota({ runsPerDay }: Quota): Quota | undefined {
  return runsPerDay === undefined ? undefined : { runsPerDay: checkPerDay("quota.runsPerDay", runsPerDay) };
}

export function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}.`, [{ path: path.split("."), message }]);
}
