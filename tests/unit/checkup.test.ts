import { expect, test } from "vitest";
import { faultsOf } from "../../engine/checkup/faults.ts";
import { looked, ok, warn, worstOf } from "../../engine/checkup/finding.ts";
import {
  connectionFinding,
  evictionFinding,
  memoryFinding,
  persistenceFinding,
  replicasFinding,
  type ServerFacts,
  versionFinding,
} from "../../engine/checkup/server.ts";
import { MillraceError } from "../../engine/errors.ts";
import type { Capabilities } from "../../engine/redis/capabilities.ts";

const MB = 1_048_576;
const server = (known: Capabilities, more: Partial<ServerFacts> = {}): ServerFacts => {
  return { address: "a:1", software: "Redis", known, ...more };
};

test.each<["Redis" | "Valkey", string, number]>([
  ["Redis", "6.2.19", 1],
  ["Redis", "6.2.20", 0],
  ["Redis", "7.0.15", 1],
  ["Redis", "7.2.1", 2],
  ["Redis", "7.2.11", 0],
  ["Redis", "7.4.6", 1],
  ["Redis", "8.6.3", 0],
  ["Redis", "9.0.0", 0],
  ["Valkey", "8.0.5", 1],
  ["Valkey", "8.1.4", 0],
])("%s %s has %i known faults", (software, version, count) => {
  expect(faultsOf(software, version)).toHaveLength(count);
  const { status } = versionFinding(server({ version }, { software, release: version }));
  expect(status).toBe(count === 0 ? "ok" : "warn");
});

test.each<[string, (facts: ServerFacts) => { status: string; found: string }, ServerFacts, string]>([
  ["a version that is too old", versionFinding, server({ version: "6.0.16" }, { release: "6.0.16" }), "fail"],
  ["a version that is not told", versionFinding, server({}), "warn"],
  ["eviction of anything", evictionFinding, server({ eviction: "allkeys-lru" }), "fail"],
  ["eviction of what has a TTL", evictionFinding, server({ eviction: "volatile-lru" }), "warn"],
  ["no eviction", evictionFinding, server({ eviction: "noeviction" }), "ok"],
  ["eviction that is not told", evictionFinding, server({}), "warn"],
  ["no limit", memoryFinding, server({}, { memory: { usedBytes: MB, limitBytes: 0 } }), "warn"],
  ["half the memory used", memoryFinding, server({}, { memory: { usedBytes: 50 * MB, limitBytes: 100 * MB } }), "ok"],
  ["little memory left", memoryFinding, server({}, { memory: { usedBytes: 80 * MB, limitBytes: 100 * MB } }), "warn"],
  ["hardly any left", memoryFinding, server({}, { memory: { usedBytes: 91 * MB, limitBytes: 100 * MB } }), "fail"],
  ["no append-only file", persistenceFinding, server({ appendOnly: false }), "warn"],
  ["an fsync that is not told", persistenceFinding, server({ appendOnly: true }), "warn"],
  ["an fsync that never is", persistenceFinding, server({ appendOnly: true, fsync: "no" }), "warn"],
  ["an fsync every second", persistenceFinding, server({ appendOnly: true, fsync: "everysec" }), "ok"],
  ["no replicas", replicasFinding, server({ replicas: 0 }, { minReplicas: 0 }), "ok"],
  ["replicas that nothing waits for", replicasFinding, server({ replicas: 2 }, { minReplicas: 0 }), "warn"],
  ["replicas that there have to be", replicasFinding, server({ replicas: 2 }, { minReplicas: 1 }), "ok"],
])("%s", (_, finding, facts, status) => {
  expect(finding(facts)).toMatchObject({ status });
});

test("servers are told as what they are together, and a replica is none", () => {
  const [one, two] = [server({}, { mode: "cluster", role: "master" }), server({}, { mode: "cluster", role: "master" })];
  expect(connectionFinding([one, two]).found).toBe("cluster of 2 primaries");
  expect(connectionFinding([server({}, { role: "slave" })])).toMatchObject({ status: "fail" });
});

test("of several servers the worst is told, and where it is", () => {
  const good = { address: "a:1", finding: ok("memory", "much") };
  const bad = { address: "b:2", finding: warn("memory", "little", "Add some.") };
  expect(worstOf([good, bad])).toEqual(warn("memory", "little (b:2)", "Add some."));
  expect(worstOf([good, { ...good, address: "b:2" }])).toEqual(ok("memory", "much"));
});

test("a look that fails is a finding", async () => {
  const error = new MillraceError("redis", "NOPERM");
  const finding = await looked("clock", () => Promise.reject(error), "Ask.");
  expect(finding).toEqual({ check: "clock", status: "fail", found: "NOPERM", advice: "Ask." });
});
