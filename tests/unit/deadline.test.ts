import { expect, test } from "vitest";
import { bounded } from "../../engine/redis/deadline.ts";

test("what is waited for ends with its value, its deadline or its connection, and leaves nothing behind", async () => {
  const whenClosed = new Set<() => void>();
  const wait = (promise: Promise<unknown>, ms: number) =>
    bounded(promise, ms, "The cluster did not answer", whenClosed);
  expect(await wait(Promise.resolve(1), 60_000)).toBe(1);
  await expect(wait(Promise.reject(new Error("no")), 60_000)).rejects.toThrow("no");
  await expect(wait(new Promise(() => {}), 1)).rejects.toMatchObject({ code: "unavailable" });
  expect(whenClosed.size).toBe(0);
  const held = wait(new Promise(() => {}), 60_000);
  for (const close of whenClosed) close();
  await expect(held).rejects.toMatchObject({ code: "unavailable", message: "The connection is closed." });
  expect(whenClosed.size).toBe(0);
});
