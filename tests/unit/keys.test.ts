import { expect, test } from "vitest";
import { deadLetterId, derivedRunId, newRunId, parseDeadLetterId, partitionOf } from "../../engine/ids.ts";
import { GROUP, NamespaceKeys, SCHEMA_VERSION } from "../../engine/keys.ts";
import { encodeTimerRow, parseTimerRow, type TimerRow } from "../../engine/timer-rows.ts";

// What is stored under these names outlives the code that wrote it: a change here is a change of the schema.
const space = new NamespaceKeys("acme");
const keys = space.partition(3);
const version = { workflow: "flow", version: 2 };

test.each([
  [space.meta(), "{acme}:meta"],
  [space.graphs(), "{acme}:graphs"],
  [space.tenants(), "{acme}:tenants"],
  [space.retired(), "{acme}:retired"],
  [space.retention(), "{acme}:retention"],
  [space.config(), "{acme}:config"],
  [space.generations(), "{acme}:generations"],
  [space.broadcast(), "{acme}:broadcast"],
  [space.spaceClock(), "{acme}:clock"],
  [space.heard("P"), "{acme}:heard:P"],
  [space.checkup("C"), "{acme}:checkup:C"],
  [space.blobContent("t", "C"), "{acme:blobs:t:C}"],
  [space.blobRecord("t", "D"), "{acme:blobs:t}:record:D"],
  [space.blobNames("t", "run", "R"), "{acme:blobs:t}:run:R"],
  [space.everyRunChannel(), "{acme:*}:run:*"],
  [space.kept("webhooks", "t"), "{acme}:kept:webhooks:t"],
  [space.keptTenants("webhooks"), "{acme}:kept:webhooks"],
  [keys.run("R"), "{acme:3}:run:R"],
  [keys.runChannel("R"), "{acme:3}:run:R"],
  [keys.log("R"), "{acme:3}:log:R"],
  [keys.step(version, "s"), "{acme:3}:step:flow@2:s"],
  [keys.slots(version, "s"), "{acme:3}:slots:flow@2:s"],
  [keys.slots(version, "s", "low"), "{acme:3}:slots:flow@2:s:low"],
  [keys.gate(version, "s"), "{acme:3}:gate:flow@2:s"],
  [keys.gateWaiting(version, "s"), "{acme:3}:gate:flow@2:s:waiting"],
  [keys.gateHeld(version, "s"), "{acme:3}:gate:flow@2:s:held"],
  [keys.gateTurns(version, "s"), "{acme:3}:gate:flow@2:s:turns"],
  [keys.step(version, "s", "normal"), "{acme:3}:step:flow@2:s"],
  [keys.step(version, "s", "high"), "{acme:3}:step:flow@2:s:high"],
  [keys.dead(version, "s"), "{acme:3}:dead:flow@2:s"],
  [keys.items("R", "s"), "{acme:3}:items:R:s"],
  [keys.chunk("R", "s", 7), "{acme:3}:items:R:s:7"],
  [keys.memos("R"), "{acme:3}:memos:R"],
  [keys.usage("t"), "{acme:3}:usage:t"],
  [keys.usageOfKey("t", "user 7"), "{acme:3}:usage:t:user 7"],
  [keys.timers(), "{acme:3}:timers"],
  [keys.delayed(), "{acme:3}:delayed"],
  [keys.lanes(), "{acme:3}:lanes"],
  [keys.paused(), "{acme:3}:paused"],
  [keys.parked("t"), "{acme:3}:parked:t"],
  [keys.workers(), "{acme:3}:workers"],
  [keys.clock(), "{acme:3}:clock"],
  [keys.ends("t"), "{acme:3}:ends:t"],
  [keys.runsByStatus("t", "failed"), "{acme:3}:runs:t:status:failed"],
  [keys.runsByWorkflow("t", "flow"), "{acme:3}:runs:t:workflow:flow"],
  [keys.runsByTag("t", "a:b"), "{acme:3}:runs:t:tag:a:b"],
  [keys.deadLetters("t"), "{acme:3}:dead-letters:t"],
  [keys.once("t", "abc"), "{acme:3}:once:t:abc"],
  [keys.dedupe("t", "abc"), "{acme:3}:dedupe:t:abc"],
  [keys.operation("O"), "{acme:3}:operation:O"],
  [keys.sweep(), "{acme:3}:sweep"],
  [keys.reconciler(), "{acme:3}:reconciler"],
  [keys.schedule("t", "nightly"), "{acme:3}:schedule:t:nightly"],
  [keys.schedules("t"), "{acme:3}:schedules:t"],
  [keys.upload("t", "U"), "{acme:3}:upload:t:U"],
  [keys.uploads("t"), "{acme:3}:uploads:t"],
  [keys.apiKey("K"), "{acme:3}:api-key:K"],
  [keys.apiKeys(), "{acme:3}:api-keys"],
  [keys.apiKeysOf("t"), "{acme:3}:api-keys:t"],
  [keys.ticket("abc"), "{acme:3}:ticket:abc"],
  [keys.rates(), "{acme:3}:rates"],
  [keys.quotas(), "{acme:3}:quotas"],
  [keys.access(), "{acme:3}:access"],
  [keys.control(), "{acme:3}:control"],
  [keys.bell(), "{acme:3}:bell"],
  [keys.subscriptions(), "{acme:3}:subscriptions"],
  [keys.subscription("g"), "{acme:3}:sub:g"],
  [keys.redeliveries("g"), "{acme:3}:sub-retry:g"],
  [keys.undelivered("g"), "{acme:3}:sub-dead:g"],
  [GROUP, "workers"],
  [SCHEMA_VERSION, 2],
])("%s", (actual, expected) => {
  expect(actual).toBe(expected);
});

test.each(["", "a b", "{x}", "a:b", "x".repeat(41)])("%j is no namespace", (name) => {
  expect(() => new NamespaceKeys(name)).toThrow("A namespace is 1 to 40 of A-Z a-z 0-9 _ -");
});

const rows: [TimerRow, string][] = [
  [
    {
      kind: "wake",
      reason: "retry",
      tenant: "t",
      run: "R-0",
      workflow: "flow",
      version: "2",
      step: "s",
      item: "",
      entry: "1-1",
    },
    "wake|retry|t|R-0|flow|2|s||1-1",
  ],
  [{ kind: "forget", tenant: "t", hash: "abc" }, "forget|t|abc"],
  [{ kind: "gate", workflow: "flow", version: "2", step: "s" }, "gate|flow|2|s"],
  [{ kind: "unpark", tenant: "t" }, "unpark|t"],
  [{ kind: "lapse", tenant: "t", hash: "abc", run: "R-0" }, "lapse|t|abc|R-0"],
  [{ kind: "expire", run: "R-0", workflow: "flow", version: "2", limit: "ttl" }, "expire|R-0|flow|2|ttl"],
  [{ kind: "overdue", run: "R-0", workflow: "flow", version: "2", limit: "ttl" }, "overdue|R-0|flow|2|ttl"],
  [{ kind: "delete", tenant: "t", run: "R-0", items: "s:2" }, "delete|t|R-0|s:2"],
  [{ kind: "bulk", operation: "O" }, "bulk|O"],
  [{ kind: "upload", tenant: "t", id: "U" }, "upload|t|U"],
  [{ kind: "usage", of: "t:user 7" }, "usage|t:user 7"],
  [{ kind: "key", tenant: "t", id: "K" }, "key|t|K"],
  [{ kind: "ticket", hash: "abc" }, "ticket|abc"],
  [{ kind: "tick", tenant: "t", name: "nightly", generation: "7" }, "tick|t|nightly|7"],
];
test.each(rows)("the timer row %j", (row, member) => {
  expect(encodeTimerRow(row)).toBe(member);
  expect(parseTimerRow(member)).toEqual(row);
});
test.each(["", "wake", "wake|a|b", "toString|a", "forget|t|h|more", "other|a|b"])("%j is no timer row", (member) => {
  expect(parseTimerRow(member)).toBeUndefined();
});

test("a run's id may follow from what the run is for", async () => {
  const id = await derivedRunId(3, ["acme", "t", "nightly", 1, 2]);
  expect(id).toBe("208bf718a5fa8ab34527b69ed63963fa-3");
  expect(partitionOf(id)).toBe(3);
  expect(await derivedRunId(3, ["acme", "t", "nightly", 1, 3])).not.toBe(id);
});

test("a run's id carries its partition, and so does its dead letter's", () => {
  const run = newRunId(12);
  expect(run).toMatch(/^[0-9a-f]{32}-12$/);
  expect(partitionOf(run)).toBe(12);
  const letter = deadLetterId(run, "1764000000123-45");
  expect(letter).toBe(`${run}-1764000000123-45`);
  expect(letter.length).toBeLessThanOrEqual(64);
  expect(partitionOf(letter)).toBe(12);
  expect(parseDeadLetterId(letter)).toEqual({ run, entry: "1764000000123-45" });
});
test.each(["", "x", "../../etc", "0".repeat(32), `${"0".repeat(32)}-`, `${"0".repeat(32)}-0-1-`])(
  "%j is no dead letter's id",
  (id) => {
    expect(parseDeadLetterId(id)).toBeUndefined();
  },
);
