import { expect, test } from "vitest";
import { family, Registry } from "../../gateway/metrics/registry.ts";
import { parseMetrics } from "../support/metrics.ts";

test("counters, histograms and what is read are written in the text format", () => {
  const registry = new Registry();
  const asked = registry.counter("asked_total", "How often.\nA second line.");
  asked({ route: '/a"b\\c\nd' }).add();
  asked({ route: '/a"b\\c\nd' }).add(2);
  const took = registry.histogram("took_seconds", "How long.", [0.1, 1]);
  for (const seconds of [0.05, 0.1, 0.5, 7]) took({ route: "/" }).observe(seconds);
  registry.reads("open", "gauge", "How many.", () => 3);
  expect(registry.text()).toBe(`# HELP asked_total How often.\\nA second line.
# TYPE asked_total counter
asked_total{route="/a\\"b\\\\c\\nd"} 3
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{route="/",le="0.1"} 2
took_seconds_bucket{route="/",le="1"} 3
took_seconds_bucket{route="/",le="+Inf"} 4
took_seconds_sum{route="/"} 7.65
took_seconds_count{route="/"} 4
# HELP open How many.
# TYPE open gauge
open 3
`);
});

test("what nobody has counted is not written", () => {
  expect(family("none", "gauge", "None.", [])).toBe("");
});

test("a name has 2,000 series at the most; all others are counted together", () => {
  const registry = new Registry();
  const counter = registry.counter("asked_total", "How often.");
  for (let i = 0; i < 5_000; i += 1) counter({ who: i, what: "a" }).add();
  const { samples } = parseMetrics(registry.text());
  expect(samples).toHaveLength(2_001);
  expect(samples.at(-1)).toEqual({ name: "asked_total", labels: { who: "other", what: "other" }, value: 3_000 });
});
