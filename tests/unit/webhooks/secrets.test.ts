import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { currentSecrets, keyOf, newSecret, rotated, type Secret } from "../../../workflows/webhooks/secrets.ts";
import { sign, signedContent } from "../../../workflows/webhooks/signature.ts";
import { retryAfter } from "../../../workflows/webhooks/steps/deliver.ts";

test("a secret is that of Standard Webhooks, with 32 bytes, and another each time", () => {
  const secret = newSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(keyOf(secret)!.byteLength).toBe(32);
  expect(newSecret()).not.toBe(secret);
  for (const text of ["whsec_", "whsec_***", ""]) expect(keyOf(text)).toBeUndefined();
});

test("each of several signatures is what the library of Standard Webhooks makes and takes", async () => {
  const [a, b] = [newSecret(), newSecret()];
  const at = new Date();
  const timestamp = Math.floor(at.getTime() / 1_000);
  const body = '{"type":"run.completed","data":{"name":"Zoë"}}';
  const signature = await sign([a, b], signedContent("msg_1", timestamp, body));
  expect(signature).toBe([a, b].map((each) => new Webhook(each).sign("msg_1", at, body)).join(" "));
  const headers = { "webhook-id": "msg_1", "webhook-timestamp": String(timestamp), "webhook-signature": signature };
  for (const each of [a, b]) expect(new Webhook(each).verify(body, headers)).toEqual(JSON.parse(body));
  expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow("No matching signature");
});

describe("a rotation", () => {
  test("uses both for the overlap, and then the new one alone", () => {
    const secrets = rotated([{ secret: "a" }], "b", 100, 1_000);
    expect(secrets).toEqual([{ secret: "b" }, { secret: "a", until: 1_100 }]);
    expect(currentSecrets(secrets, 1_099)).toEqual(["b", "a"]);
    expect(currentSecrets(secrets, 1_100)).toEqual(["b"]);
  });

  test("without an overlap drops the one before at once", () => {
    expect(rotated([{ secret: "a" }], "b", 0, 1_000)).toEqual([{ secret: "b" }]);
  });

  test("lengthens nobody's time, drops whose time is over, and keeps five at the most", () => {
    const before: Secret[] = [{ secret: "b" }, { secret: "a", until: 1_050 }, { secret: "z", until: 900 }];
    expect(rotated(before, "c", 100, 1_000)).toEqual([
      { secret: "c" },
      { secret: "b", until: 1_100 },
      { secret: "a", until: 1_050 },
    ]);
    let many: Secret[] = [];
    for (let i = 0; i < 9; i += 1) many = rotated(many, String(i), 1_000, i);
    expect(many.map(({ secret }) => secret)).toEqual(["8", "7", "6", "5", "4"]);
  });
});

test.each([
  ["120", 120_000],
  [" 5 ", 5_000],
  ["0", 1_000],
  ["999999999", 86_400_000],
  ["Fri, 27 Nov 2026 20:00:30 GMT", 30_000],
  ["Fri, 27 Nov 2026 19:00:00 GMT", 1_000],
  ["soon", undefined],
  ["-1", undefined],
  [undefined, undefined],
])("Retry-After: %s", (value, ms) => {
  expect(retryAfter(value, Date.parse("2026-11-27T20:00:00Z"))).toBe(ms);
});
