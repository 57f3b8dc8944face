import fc from "fast-check";

const n = fc.nat(1_000);
const worker = fc.nat(1);
const rarely = fc.integer({ min: 0, max: 9 }).map((each) => each === 0);

/**
 * What is done to a namespace, by number: which of the runs, entries, attempts or dead letters that there are by then, the
 * test finds out. So any part of a sequence is a sequence, and a failing one can be cut down.
 */
export const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("admit" as const), shape: n }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("admit again" as const), which: n }) },
  {
    weight: 16,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), which: n, count: n, worker, lost: rarely }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("tell" as const), which: n, events: fc.nat(2), twice: rarely }) },
  {
    weight: 24,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      attempts: fc.array(fc.record({ which: n, how: n, events: fc.nat(1) }), { minLength: 1, maxLength: 3 }),
      twice: rarely,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("send again" as const), which: n }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("end late" as const), which: n, how: n }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("beat" as const), worker }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("stall" as const), worker }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("crash" as const), worker }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("reclaim" as const), worker }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("recover" as const), worker }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("pass time" as const), units: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: n }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("signal" as const), which: n, key: fc.constantFrom("k", "l") }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("replay" as const), which: n, twice: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("discard" as const), which: n, twice: fc.boolean() }) },
);

export type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;
