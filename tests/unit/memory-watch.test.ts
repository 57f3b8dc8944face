import { expect, test } from "vitest";
import { UnavailableError } from "../../engine/errors.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { isFull, MemoryWatch } from "../../engine/memory-watch.ts";

const keys = new NamespaceKeys("acme").partition(0);
const info = (used: number, limit = 1_000, policy = "noeviction", more = "") =>
  `# Memory\r\nused_memory:${used}\r\nused_memory_human:1M\r\nmaxmemory:${limit}\r\nmaxmemory_policy:${policy}\r\n${more}`;
const known = async () => true;
const unknown = async () => false;
const stored = async () => "stored";

test.each([
  [info(900), false],
  [info(901), true],
  [info(5_000, 0), false],
  [info(990, 1_000, "volatile-lru"), false],
  [info(950, 1_000, "noeviction", "mem_not_counted_for_evict:100\r\n"), false],
  ["", false],
])("%j is full: %s", (text, full) => {
  expect(isFull(text)).toBe(full);
});

test("what is new is refused while Redis is full, and what is known is not", async () => {
  const watch = new MemoryWatch(async () => info(999));
  await expect(watch.guard(keys, unknown, stored)).rejects.toMatchObject({ code: "overloaded", retryAfterMs: 5_000 });
  expect(await watch.guard(keys, known, stored)).toBe("stored");
});

test("Redis is asked once for calls that are close together, by partition", async () => {
  let asked = 0;
  const watch = new MemoryWatch(async () => {
    asked += 1;
    return info(1);
  });
  for (let i = 0; i < 10; i += 1) await watch.guard(keys, unknown, stored);
  expect(asked).toBe(1);
  await watch.guard(new NamespaceKeys("acme").partition(1), unknown, stored);
  expect(asked).toBe(2);
});

test("what Redis refuses for lack of memory between two looks is refused in the same way; other failures stay what they are", async () => {
  const watch = new MemoryWatch(async () => info(1));
  const refusing = (message: string) => async () => {
    throw new UnavailableError("away", { cause: new Error(message) });
  };
  await expect(watch.guard(keys, unknown, refusing("OOM command not allowed"))).rejects.toMatchObject({
    code: "overloaded",
  });
  await expect(watch.guard(keys, unknown, refusing("READONLY"))).rejects.toMatchObject({ code: "unavailable" });
});

test("a server that does not say how full it is refuses by itself", async () => {
  const watch = new MemoryWatch(async () => {
    throw new UnavailableError("away");
  });
  expect(await watch.guard(keys, unknown, stored)).toBe("stored");
});
