import fc from "fast-check";
import { expect, test } from "vitest";
import { Shares } from "../../engine/shares.ts";

test("streams that have much share alike", () => {
  const shares = new Shares([1, 1, 1]);
  for (let i = 0; i < 10; i += 1) for (const [k, n] of shares.of(90, [90, 90, 90]).entries()) shares.gave(k, n, n);
  expect(shares.of(90, [90, 90, 90])).toEqual([30, 30, 30]);
});

test("a stream that has much gets what the others do not need, and they are still asked for a little more", () => {
  const shares = new Shares([1, 1, 1]);
  for (let i = 0; i < 10; i += 1)
    for (const [k, n] of shares.of(90, [90, 90, 90]).entries()) shares.gave(k, n, Math.min(n, [1_000, 2, 0][k]!));
  expect(shares.of(90, [90, 90, 90])).toEqual([80, 6, 4]);
});

test("one slot goes round", () => {
  const shares = new Shares([1, 1, 1]);
  const turns = [1, 2, 3].map(() => shares.of(1, [1, 1, 1]));
  expect(turns.map((turn) => turn.indexOf(1)).sort()).toEqual([0, 1, 2]);
});

test("never more than is free, of a stream or in all; and all that is free, if the streams may have it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ free: fc.nat(50), has: fc.nat(50) }), { minLength: 1, maxLength: 8 }),
      fc.nat(60),
      (streams, free) => {
        const shares = new Shares(streams.map((_, i) => 1 + (i % 6)));
        for (let pass = 0; pass < 5; pass += 1) {
          const freeOf = streams.map((stream) => Math.min(stream.free, free));
          const given = shares.of(free, freeOf);
          const all = given.reduce((sum, n) => sum + n, 0);
          const most = freeOf.reduce((sum, n) => sum + n, 0);
          expect(given.every((n, i) => n <= freeOf[i]!)).toBe(true);
          expect(all).toBe(Math.min(free, most));
          for (const [i, n] of given.entries()) if (n > 0) shares.gave(i, n, Math.min(n, streams[i]!.has));
        }
      },
    ),
  );
});

test("lanes that have much are dealt to by their weights", () => {
  const shares = new Shares([6, 3, 1]);
  for (let i = 0; i < 10; i += 1) for (const [k, n] of shares.of(100, [100, 100, 100]).entries()) shares.gave(k, n, n);
  expect(shares.of(100, [100, 100, 100])).toEqual([60, 30, 10]);
});

test.each([1, 2, 3, 7])("with %d slots, each lane has its part of a hundred rounds", (slots) => {
  const shares = new Shares([6, 3, 1]);
  const had = [0, 0, 0];
  for (let round = 0; round < 100; round += 1)
    for (const [k, n] of shares.of(slots, [slots, slots, slots]).entries()) {
      had[k]! += n;
      if (n > 0) shares.gave(k, n, n);
    }
  for (const [k, part] of [60, 30, 10].entries())
    expect(Math.abs(had[k]! - part * slots)).toBeLessThanOrEqual(slots + 2);
});
