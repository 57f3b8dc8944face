import { iso } from "../run-record.ts";
import type { KeyEnd, KeyView, Quota, RateLimit, VerifiedKey } from "./api.ts";
import { isScope, type Scope } from "./scopes.ts";

/** An API key as its hash holds it. Times in ms. */
export interface KeyRecord {
  tenant: string;
  name: string;
  scopes: Scope[];
  /** Of the secret; undefined once the key is revoked. */
  digest: string | undefined;
  /** Which secret that is: 1 for the first. */
  secretNumber: number;
  /** The secret before, while it works. */
  previous: { digest: string; until: number } | undefined;
  createdAt: number;
  expiresAt: number | undefined;
  rotatedAt: number | undefined;
  revokedAt: number | undefined;
  lastUsedAt: number | undefined;
  rateLimit: RateLimit | undefined;
  quota: Quota | undefined;
}

/** What is made of a new key, and what a script adds to it: `digest`, `createdAt`. */
export function encodeKey(
  key: Pick<KeyRecord, "tenant" | "name" | "scopes" | "expiresAt" | "rateLimit" | "quota">,
): Record<string, string> {
  const { tenant, name, scopes, expiresAt, rateLimit, quota } = key;
  return {
    ...{ tenant, name, scopes: scopes.join(" "), secretNumber: "1" },
    ...(expiresAt === undefined ? {} : { expiresAt: String(expiresAt) }),
    ...(rateLimit === undefined ? {} : { rateLimit: `${rateLimit.requests} ${rateLimit.windowMs}` }),
    ...(quota?.runsPerDay === undefined ? {} : { runsPerDay: String(quota.runsPerDay) }),
  };
}

/** Undefined for what is no whole key: one that is gone, or is going. */
export function decodeKey(fields: Record<string, string>): KeyRecord | undefined {
  const { tenant, name, scopes, digest, previousDigest, previousUntil, runsPerDay } = fields;
  if (tenant === undefined || name === undefined || scopes === undefined) return undefined;
  const number = (field: string) => (fields[field] === undefined ? undefined : Number(fields[field]));
  const [requests, windowMs] = fields.rateLimit?.split(" ").map(Number) ?? [];
  return {
    ...{ tenant, name, digest },
    // One that this code does not know is no right that it can give.
    scopes: scopes.split(" ").filter(isScope),
    secretNumber: number("secretNumber") ?? 1,
    previous: previousDigest === undefined ? undefined : { digest: previousDigest, until: Number(previousUntil) },
    createdAt: number("createdAt") ?? 0,
    expiresAt: number("expiresAt"),
    rotatedAt: number("rotatedAt"),
    revokedAt: number("revokedAt"),
    lastUsedAt: number("lastUsedAt"),
    rateLimit: requests === undefined ? undefined : { requests, windowMs: windowMs! },
    quota: runsPerDay === undefined ? undefined : { runsPerDay: Number(runsPerDay) },
  };
}

/** When one of a key's secrets stops working, ms; undefined for never, as far as is known. */
export function endOf(record: KeyRecord, secretNumber: number): number | undefined {
  const ends = [record.expiresAt, secretNumber === record.secretNumber ? undefined : (record.previous?.until ?? 0)];
  const known = ends.filter((end) => end !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** Why one of a key's secrets does not work any more; undefined while it does, or for a record of undefined: gone is revoked. */
export function whyEnded(record: KeyRecord | undefined, secretNumber: number, nowMs: number): KeyEnd | undefined {
  if (record === undefined || record.revokedAt !== undefined) return "revoked";
  if (record.expiresAt !== undefined && record.expiresAt <= nowMs) return "expired";
  if (secretNumber === record.secretNumber) return undefined;
  const overlaps = secretNumber === record.secretNumber - 1 && record.previous !== undefined;
  return overlaps && record.previous!.until > nowMs ? undefined : "rotated";
}

export function verifiedKey(id: string, record: KeyRecord, secretNumber: number): VerifiedKey {
  const { tenant, name, scopes, rateLimit, quota } = record;
  const ends = endOf(record, secretNumber);
  return {
    ...{ id, tenant, name, scopes, secretNumber },
    ...(ends === undefined ? {} : { endsAt: iso(ends) }),
    ...(rateLimit === undefined ? {} : { rateLimit }),
    ...(quota === undefined ? {} : { quota }),
  };
}

export function keyView(id: string, record: KeyRecord, nowMs: number): KeyView {
  const { tenant, name, scopes, previous, createdAt, expiresAt, rotatedAt, revokedAt, lastUsedAt, rateLimit, quota } =
    record;
  const expired = expiresAt !== undefined && expiresAt <= nowMs;
  return {
    ...{ id, tenant, name, scopes },
    status: revokedAt !== undefined ? "revoked" : expired ? "expired" : "active",
    createdAt: iso(createdAt),
    ...(expiresAt === undefined ? {} : { expiresAt: iso(expiresAt) }),
    ...(rotatedAt === undefined ? {} : { rotatedAt: iso(rotatedAt) }),
    ...(previous === undefined || previous.until <= nowMs ? {} : { previousUntil: iso(previous.until) }),
    ...(revokedAt === undefined ? {} : { revokedAt: iso(revokedAt) }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt: iso(lastUsedAt) }),
    ...(rateLimit === undefined ? {} : { rateLimit }),
    ...(quota === undefined ? {} : { quota }),
  };
}
