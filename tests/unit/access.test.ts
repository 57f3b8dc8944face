import { describe, expect, test } from "vitest";
import { checkKey } from "../../engine/access/check.ts";
import {
  decodeKey,
  encodeKey,
  type KeyRecord,
  keyView,
  verifiedKey,
  whyEnded,
} from "../../engine/access/key-record.ts";
import { hasScope, lackedScopes, SCOPES } from "../../engine/access/scopes.ts";
import { digestOf, idOfKeySecret, newKeySecret, sameDigest } from "../../engine/access/secrets.ts";
import type { CreateKeyOptions } from "../../engine/index.ts";

const ID = "0123456789abcdef0123456789abcdef";

describe("a secret", () => {
  test("names its key, and has 260 bits that no other has", () => {
    const secrets = Array.from({ length: 1_000 }, () => newKeySecret(ID));
    expect(new Set(secrets).size).toBe(1_000);
    for (const secret of secrets) {
      expect(secret).toMatch(/^mr_[0-9a-f]{32}_[a-z2-7]{52}$/);
      expect(idOfKeySecret(secret)).toBe(ID);
    }
    // Each of the 32 letters comes at each of the 52 places: none is fixed.
    for (let at = 36; at < 88; at += 1) expect(new Set(secrets.map((secret) => secret[at])).size).toBe(32);
  });

  test.each([
    "",
    "mr_",
    ID,
    `mr_${ID}_`,
    `mr_${ID}_${"a".repeat(51)}`,
    `mr_${ID}_${"a".repeat(53)}`,
    `mr_${ID}_${"A".repeat(52)}`,
    ` mr_${ID}_${"a".repeat(52)}`,
    `mr_${ID}_${"a".repeat(52)}\n`,
    `mr_${"g".repeat(32)}_${"a".repeat(52)}`,
    `mrt_${"a".repeat(52)}`,
  ])("%j is none", (text) => {
    expect(idOfKeySecret(text)).toBeUndefined();
  });

  test("is known by its digest", async () => {
    expect(await digestOf("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

test.each([
  ["", "", true],
  ["abc", "abc", true],
  ["abc", "abd", false],
  ["abc", "xbc", false],
  ["abc", "ab", false],
  ["ab", "abc", false],
  ["", "a", false],
  ["a", "", false],
  ["aa", "a", false],
])("%j and %j are one digest: %s", (a, b, same) => {
  expect(sameDigest(a, b)).toBe(same);
});

test("admin may do everything, and nobody hands on what they lack", () => {
  for (const scope of SCOPES) expect(hasScope(["admin"], scope)).toBe(true);
  expect(hasScope(["runs:read"], "runs:write")).toBe(false);
  expect(hasScope([], "runs:read")).toBe(false);
  expect(lackedScopes(["keys:write", "runs:read"], ["runs:read", "runs:write", "admin"])).toEqual([
    "runs:write",
    "admin",
  ]);
  expect(lackedScopes(["admin"], [...SCOPES])).toEqual([]);
});

const record: KeyRecord = {
  ...{ tenant: "acme", name: "ci", scopes: ["runs:read"], digest: "d2", secretNumber: 2, createdAt: 1_000 },
  ...{ previous: { digest: "d1", until: 5_000 }, expiresAt: 9_000, rotatedAt: 2_000, revokedAt: undefined },
  ...{ lastUsedAt: undefined, rateLimit: { requests: 1, windowMs: 1_000 }, quota: { runsPerDay: 3 } },
};

describe("a key", () => {
  test.each([
    [2, 8_999, undefined],
    [2, 9_000, "expired"],
    [1, 4_999, undefined],
    [1, 5_000, "rotated"],
    [1, 9_000, "expired"],
    [0, 2_000, "rotated"],
    [3, 2_000, "rotated"],
  ] as const)("its secret %i at %i: %s", (secretNumber, nowMs, why) => {
    expect(whyEnded(record, secretNumber, nowMs)).toBe(why);
  });

  test("that was revoked, or is gone, has ended whichever secret it is", () => {
    expect(whyEnded({ ...record, revokedAt: 3_000 }, 2, 3_000)).toBe("revoked");
    expect(whyEnded(undefined, 2, 3_000)).toBe("revoked");
  });

  test("says until when the secret works that was shown", () => {
    expect(verifiedKey("k", record, 2).endsAt).toBe("1970-01-01T00:00:09.000Z");
    expect(verifiedKey("k", record, 1).endsAt).toBe("1970-01-01T00:00:05.000Z");
    expect(verifiedKey("k", { ...record, expiresAt: undefined }, 2)).toEqual({
      ...{ id: "k", tenant: "acme", name: "ci", scopes: ["runs:read"], secretNumber: 2 },
      ...{ rateLimit: { requests: 1, windowMs: 1_000 }, quota: { runsPerDay: 3 } },
    });
  });

  test("is read as it was stored", () => {
    const { tenant, name, scopes, expiresAt, rateLimit, quota } = record;
    const stored = { ...encodeKey({ tenant, name, scopes, expiresAt, rateLimit, quota }), digest: "d", createdAt: "7" };
    expect(decodeKey(stored)).toEqual({
      ...{ tenant, name, scopes, expiresAt, rateLimit, quota, digest: "d", secretNumber: 1, createdAt: 7 },
      ...{ previous: undefined, rotatedAt: undefined, revokedAt: undefined, lastUsedAt: undefined },
    });
    expect(decodeKey({ ...stored, scopes: "runs:read fly" })?.scopes).toEqual(["runs:read"]);
    expect(decodeKey({})).toBeUndefined();
    expect(decodeKey({ lastUsedAt: "7" })).toBeUndefined();
  });

  test("shows no secret, nor what is stored of one", () => {
    for (const shown of [keyView("k", record, 3_000), verifiedKey("k", record, 1)])
      expect(JSON.stringify(shown)).not.toMatch(/d1|d2|digest/);
    expect(keyView("k", record, 3_000)).toMatchObject({ status: "active", previousUntil: expect.any(String) });
    expect(keyView("k", record, 6_000)).not.toHaveProperty("previousUntil");
    expect(keyView("k", record, 9_000).status).toBe("expired");
    expect(keyView("k", { ...record, revokedAt: 1 }, 9_000).status).toBe("revoked");
  });

  test.each<[string, Partial<Record<keyof CreateKeyOptions, unknown>>]>([
    ["name", { name: "" }],
    ["name", { name: "a\nb" }],
    ["name", { name: "x".repeat(101) }],
    ["name", { name: 7 }],
    ["tenant", { tenant: "a b" }],
    ["tenant", { tenant: "" }],
    ["tenant", { tenant: "x".repeat(65) }],
    ["scopes", { scopes: [] }],
    ["scopes", { scopes: ["fly"] }],
    ["scopes", { scopes: "admin" }],
    ["expiresAt", { expiresAt: new Date("never") }],
    ["expiresAt", { expiresAt: 7 }],
    ["rateLimit.requests", { rateLimit: { requests: 0, windowMs: 1_000 } }],
    ["rateLimit.requests", { rateLimit: { requests: 1.5, windowMs: 1_000 } }],
    ["rateLimit.windowMs", { rateLimit: { requests: 1, windowMs: 999 } }],
    ["quota.runsPerDay", { quota: { runsPerDay: 0 } }],
  ])("with a bad %s is refused: %j", (path, options) => {
    const all = { name: "ci", scopes: ["admin"], ...options } as CreateKeyOptions;
    expect(() => checkKey(all, "default")).toThrow(
      expect.objectContaining({ code: "invalid_input", issues: [expect.objectContaining({ path: path.split(".") })] }),
    );
  });

  test("has each scope once, in one order, and is the default tenant's", () => {
    expect(checkKey({ name: "ü 1", scopes: ["runs:write", "runs:read", "runs:write"] }, "default")).toMatchObject({
      tenant: "default",
      scopes: ["runs:read", "runs:write"],
    });
  });
});
