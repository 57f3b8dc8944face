import type { Random } from "../faults/random.ts";

/** Texts that have broken something somewhere. */
export const ODD_TEXTS = [
  ...[
    "",
    " ",
    "\u0000",
    "\ud800",
    "a\udfff",
    "\u202e",
    "\ufeff",
    "é",
    "😀".repeat(40),
    "\r\n",
    "a\r\nX-Injected: 1",
    "\t",
  ],
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "length", "then"],
  ...[
    "../../etc/passwd",
    "..\\..\\a",
    "/dev/null",
    ".",
    "..",
    "%00",
    "%2e%2e%2f",
    "%",
    "%E0%A4",
    "{x}",
    "{a:b}:*",
    "*",
    "?",
  ],
  ...["null", "undefined", "NaN", "true", "-1", "0", "1e309", "99999999999999999999", "0x10", "1_000", "٣", "Infinity"],
  ...[
    "x".repeat(65),
    "x".repeat(300),
    "x".repeat(5_000),
    "<script>alert(1)</script>",
    "'; DROP TABLE runs; --",
    "$(id)",
  ],
  ...[
    "2026-02-30T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
    "1-0",
    "0-0-0",
    "18446744073709551615-1",
    "W10=",
    "eyJhIjoxfQ",
  ],
];

const ODD_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -0, -1, 1.5, 1e308, -1e308, 2 ** 53, 2 ** 31, 2 ** 32, 5e-324, [], {}, [[]], [null], [{}]],
  ...[
    { toString: 1 },
    JSON.parse('{"then":1,"__proto__":{"a":1}}'),
    { length: -1 },
    { constructor: { prototype: {} } },
  ],
  ...[Array.from({ length: 3_000 }, () => ""), Array.from({ length: 500 }, (_, i) => i), "x".repeat(70_000)],
  Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])),
  nested(70),
];

function nested(depth: number): unknown {
  return depth === 0 ? 0 : [nested(depth - 1)];
}

export function oddValue(random: Random): unknown {
  return random.next() < 0.5 ? random.pick(ODD_VALUES) : random.pick(ODD_TEXTS);
}

/** A value with one or several of its parts replaced, dropped, doubled or added. */
export function changed(value: unknown, random: Random): unknown {
  if (random.next() < 0.25 || typeof value !== "object" || value === null) return oddValue(random);
  if (Array.isArray(value)) {
    const at = random.whole(0, value.length);
    const item = at < value.length && random.next() < 0.5 ? changed(value[at], random) : oddValue(random);
    return value.toSpliced(at, random.whole(0, 1), item);
  }
  const copy: Record<string, unknown> = { ...value };
  const name = random.pick([...Object.keys(copy), random.pick(ODD_TEXTS)]);
  const way = random.next();
  if (way < 0.2) delete copy[name];
  else if (way < 0.6) copy[name] = changed(copy[name], random);
  // As its own: `__proto__` would be another thing.
  else Object.defineProperty(copy, random.pick(ODD_TEXTS), { value: oddValue(random), enumerable: true });
  return copy;
}

/** Bytes with some of them turned, dropped, doubled or put in between. */
export function garbled(bytes: Buffer, random: Random): Buffer {
  let out = bytes;
  for (let times = random.whole(1, 4); times > 0; times--) {
    const at = random.whole(0, out.length);
    const to = Math.min(out.length, at + random.whole(0, 12));
    const [before, part, after] = [out.subarray(0, at), out.subarray(at, to), out.subarray(to)];
    const ways = [
      () => Buffer.concat([before, after]),
      () => Buffer.concat([before, part, part, after]),
      () => Buffer.concat([before, Buffer.from(random.pick(ODD_TEXTS).slice(0, 400)), after]),
      () => Buffer.concat([before, Buffer.from([random.whole(0, 255)]), after.subarray(1)]),
      () => Buffer.concat([before, Buffer.from(part.map(() => random.whole(0, 255))), after]),
      () => before,
      () => Buffer.concat([before, Buffer.from("\r\n"), after]),
    ];
    out = random.pick(ways)();
  }
  return out;
}
