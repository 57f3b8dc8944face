import { describe, expect, expectTypeOf, test } from "vitest";
import { flagOf } from "../../engine/config-reader.ts";
import type { CachedResult, ConfigReader, Millrace, StepContext } from "../../engine/index.ts";

test.each([
  [true, true],
  [false, false],
  [{ percent: 0 }, false],
  [{ percent: 100 }, true],
  [{ percent: -5 }, false],
  [{ percent: 50 }, undefined],
  [{ percent: "50" }, undefined],
  [{}, undefined],
  [[], undefined],
  ["true", undefined],
  [1, undefined],
  [null, undefined],
  [undefined, undefined],
])("%j says %j where there is no unit", (value, expected) => {
  expect(flagOf("f", value, undefined)).toBe(expected);
});

describe("a share", () => {
  const units = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);
  const inAt = (percent: number, flag = "f") => units.filter((unit) => flagOf(flag, { percent }, unit));

  test.each([1, 10, 50, 90])("of %i percent is of about so many", (percent) => {
    const expected = (units.length * percent) / 100;
    expect(Math.abs(inAt(percent).length - expected)).toBeLessThan(4 * Math.sqrt(expected));
  });

  test("only grows with its percentage", () => {
    const more = new Set(inAt(20));
    for (const unit of inAt(10)) expect(more).toContain(unit);
  });

  test("is of others for another flag", () => {
    const both = inAt(50).filter((unit) => flagOf("g", { percent: 50 }, unit));
    expect(both.length).toBeGreaterThan(2_000);
    expect(both.length).toBeLessThan(3_000);
  });

  // What a unit saw yesterday it must see tomorrow, from whatever version of this code.
  test("is for ever of the same units", () => {
    expect(inAt(0.05)).toMatchInlineSnapshot(`
      [
        "user-1274",
        "user-1660",
        "user-2787",
        "user-5004",
        "user-5022",
        "user-6125",
        "user-7504",
        "user-7972",
        "user-9410",
      ]
    `);
  });
});

test("types", () => {
  const read = (ctx: StepContext, millrace: Millrace) => {
    expectTypeOf(ctx.config).toEqualTypeOf<ConfigReader>();
    expectTypeOf(ctx.config.get("a")).toEqualTypeOf<unknown>();
    expectTypeOf(ctx.config.get<number>("a")).toEqualTypeOf<number | undefined>();
    expectTypeOf(millrace.config.flag("a", { unit: "b", default: true })).toEqualTypeOf<boolean>();
    expectTypeOf(ctx.cached<string>("a", "b", "c")).toEqualTypeOf<CachedResult<string>>();
    // @ts-expect-error a handler reads the configuration and changes nothing
    ctx.config.set("a", 1);
    // @ts-expect-error what is remembered has one type
    ctx.cached<string>("a", "b", "c").keep(1);
    // @ts-expect-error a flag's default is yes or no
    ctx.config.flag("a", { default: "on" });
  };
  expect(read).toBeTypeOf("function");
});
