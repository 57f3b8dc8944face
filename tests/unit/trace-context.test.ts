import { describe, expect, test } from "vitest";
import { decodeTrace, encodeTrace, parseTraceContext } from "../../engine/trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const traceparent = `00-${TRACE}-${SPAN}-01`;

describe("traceparent", () => {
  test.each([
    [traceparent, traceparent],
    [`00-${TRACE}-${SPAN}-00`, `00-${TRACE}-${SPAN}-00`],
    [`00-${TRACE}-${SPAN}-03`, `00-${TRACE}-${SPAN}-03`],
    // Flags that nobody knows are not handed on.
    [`00-${TRACE}-${SPAN}-ff`, `00-${TRACE}-${SPAN}-03`],
    [`00-${TRACE}-${SPAN}-08`, `00-${TRACE}-${SPAN}-00`],
    // A later version is gone on with as this one.
    [`cc-${TRACE}-${SPAN}-01`, traceparent],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, traceparent],
    [`cc-${TRACE}-${SPAN}-01-`, traceparent],
  ])("%s is one", (given, read) => {
    expect(parseTraceContext(given)).toEqual({ traceparent: read });
  });

  test.each([
    undefined,
    null,
    1,
    {},
    "",
    "garbage",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-`,
    `00-${TRACE}-${SPAN}-01-more`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}0-01`,
    `00-${TRACE}-${SPAN}-1`,
    `00-${TRACE}-${SPAN}-0g`,
    `00-${TRACE}-${SPAN}`,
    ` ${traceparent}`,
    `${traceparent}\n`,
    // What becomes of two headers.
    `${traceparent}, ${traceparent}`,
  ])("%j is none", (given) => {
    expect(parseTraceContext(given, "a=1")).toBeUndefined();
  });
});

describe("tracestate", () => {
  const of = (tracestate: unknown) => parseTraceContext(traceparent, tracestate)?.tracestate;
  const member = (key: string, length: number) => `${key}=${"v".repeat(length - key.length - 1)}`;

  test.each([
    ["congo=t61rcWkgMzE", "congo=t61rcWkgMzE"],
    ["a=1,b=2", "a=1,b=2"],
    [" a=1 ,\tb=2,, ", "a=1,b=2"],
    ["fw529a3039@dt=FfSP;x y|z%20", "fw529a3039@dt=FfSP;x y|z%20"],
    ["0digit=~!", "0digit=~!"],
  ])("%j is carried", (given, carried) => {
    expect(of(given)).toBe(carried);
  });

  test.each([
    undefined,
    5,
    "",
    ",",
    "a",
    "=1",
    "a=",
    "A=1",
    "a=1,b",
    "a=1=2",
    "ü=1",
    "a=ü",
    "a@b@c=1",
    "a@2=1",
    "a=\x01",
  ])("%j is left out, and the trace is not", (given) => {
    expect(parseTraceContext(traceparent, given)).toEqual({ traceparent });
  });

  test("more than 32 members are left out", () => {
    const members = (count: number) => Array.from({ length: count }, (_, i) => `${i}=1`).join();
    expect(of(members(33))).toBeUndefined();
    expect(of(members(32))).toMatch(/^0=1,1=1/);
  });

  test("whole members up to 96 characters are, the first ones first, and none that is longer by itself", () => {
    expect(of(member("a", 96))).toBe(member("a", 96));
    expect(of(`${member("a", 97)},b=1`)).toBe("b=1");
    expect(of(`${member("a", 70)},${member("b", 25)}`)).toBe(`${member("a", 70)},${member("b", 25)}`);
    expect(of(`${member("a", 70)},${member("b", 26)},c=1`)).toBe(member("a", 70));
  });

  test("what takes three characters as it is stored counts as three", () => {
    expect(of(`a=${"|".repeat(31)}`)).toBe(`a=${"|".repeat(31)}`);
    expect(of(`a=${"|".repeat(32)}`)).toBeUndefined();
  });
});

test("as Redis holds it a trace is one word of what tickets and records separate", () => {
  for (const tracestate of ["a=x y|z%20%7c,b=100% |", undefined]) {
    const parsed = parseTraceContext(traceparent, tracestate)!;
    const stored = encodeTrace(parsed);
    expect(stored).toMatch(/^[^ |]{55,152}$/);
    expect(decodeTrace(stored)).toEqual(parsed);
  }
  expect(decodeTrace(`${traceparent};a=%`)).toEqual({ traceparent, tracestate: "a=%" });
});
