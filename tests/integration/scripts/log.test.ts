import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Entry } from "../../../engine/entry.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let entry: Entry;
beforeEach(async () => {
  bench = new StoreBench();
  entry = await bench.held();
});
afterEach(() => bench.close());

describe("the log", () => {
  test("holds 10,000 events; older ones are counted as trimmed", async () => {
    const events = Array.from({ length: 50 }, (_, i) => `{"type":"step.output","data":${i}}`);
    for (let batch = 1; batch <= 202; batch += 1) await bench.commit({ entry, batch, events });
    expect(await bench.redis.llen(bench.keys.log(bench.run))).toBe(10_000);
    expect(await bench.redis.hget(bench.keys.run(bench.run), "trimmed")).toBe("101");
  });

  test("holds about 4 MB; past that its oldest eighth goes", async () => {
    const events = Array.from({ length: 10 }, () => `{"type":"step.output","data":"${"x".repeat(60_000)}"}`);
    for (let batch = 1; batch <= 40; batch += 1) await bench.commit({ entry, batch, events });
    const length = await bench.redis.llen(bench.keys.log(bench.run));
    const trimmed = Number(await bench.redis.hget(bench.keys.run(bench.run), "trimmed"));
    expect(length + trimmed).toBe(401);
    expect(length * 60_000).toBeLessThan(9_000_000);
  });
});
