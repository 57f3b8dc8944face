import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TicketStore } from "../../../engine/store/ticket-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let tickets: TicketStore;
beforeEach(() => {
  bench = new StoreBench();
  tickets = new TicketStore(bench.client, bench.store.partitions);
});
afterEach(() => bench.close());

const issue = () => tickets.issue("abc", 60_000, { tenant: "acme", runs: "r1 r2" });
const STORED = { "ticket:abc": { expiresAt: "T", runs: "r1 r2", tenant: "acme" }, timers: { "ticket|abc": "T" } };
const GONE = { "ticket:abc": "gone", timers: "gone" };

async function change(act: () => Promise<unknown>) {
  const before = await bench.state();
  const answer = await act();
  return { answer, changed: changes(before, await bench.state()) };
}

async function wrongType(name: "ticket" | "timers", act: () => Promise<unknown>) {
  const key = name === "ticket" ? bench.keys.ticket("abc") : bench.keys.timers();
  await bench.redis.del(key);
  await bench.redis.set(key, "not ours");
  const before = await bench.state();
  await expect(act()).rejects.toMatchObject({ code: "wrong_type" });
  expect(await bench.state()).toEqual(before);
}

describe("issue-ticket", () => {
  test("one is stored, with the row that removes it", async () => {
    const { answer, changed } = await change(issue);
    expect(changed).toEqual(STORED);
    expect(await bench.redis.zscore(bench.keys.timers(), "ticket|abc")).toBe(String(answer));
    expect(Math.abs((answer as number) - Date.now() - 60_000)).toBeLessThan(5_000);
  });

  test("a repeated call changes nothing", async () => {
    const at = await issue();
    expect(await change(issue)).toEqual({ answer: at, changed: {} });
  });

  test.each(["ticket", "timers"] as const)("a key of the wrong type refuses it: %s", (name) => wrongType(name, issue));
});

describe("redeem-ticket", () => {
  const redeem = () => tickets.redeem("abc");

  test("the first has it, and nothing is left", async () => {
    const expiresAt = String(await issue());
    const { answer, changed } = await change(redeem);
    expect({ ...(answer as object) }).toEqual({ expiresAt, tenant: "acme", runs: "r1 r2" });
    expect(changed).toEqual(GONE);
    expect(await change(redeem)).toEqual({ answer: undefined, changed: {} });
  });

  test("one that is too old is nobody's, and nothing is left", async () => {
    await issue();
    await bench.redis.hset(bench.keys.ticket("abc"), "expiresAt", 1);
    expect(await change(redeem)).toEqual({ answer: undefined, changed: GONE });
  });

  test.each(["ticket", "timers"] as const)("a key of the wrong type refuses it: %s", async (name) => {
    await issue();
    await wrongType(name, redeem);
  });
});

describe("the row of a ticket", () => {
  const promote = () => bench.timers.promote([{ kind: "ticket", hash: "abc" }]);

  test("that is due removes it", async () => {
    await issue();
    expect(await change(promote)).toEqual({ answer: [Reply.Already], changed: {} });
    await bench.redis.zadd(bench.keys.timers(), 1, "ticket|abc");
    expect(await change(promote)).toEqual({ answer: [Reply.Done], changed: GONE });
  });
});
