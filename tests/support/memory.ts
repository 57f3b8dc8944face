import type { Redis } from "ioredis";

/** What `fillUp` has put there. */
export const JUNK = "junk:";

/** Adds keys until Redis takes none any more, in steps that become smaller. How many bytes that were. */
export async function fillUp(redis: Redis): Promise<number> {
  let bytes = 0;
  for (let size = 100_000, n = 0; size >= 1_000; ) {
    try {
      await redis.set(`${JUNK}${n}`, "x".repeat(size));
      bytes += size;
      n += 1;
    } catch {
      size = Math.floor(size / 4);
    }
  }
  return bytes;
}

/** A number of what Redis says about its memory. */
export async function memoryOf(redis: Redis, name = "used_memory"): Promise<number> {
  return Number(new RegExp(`^${name}:(\\d+)`, "m").exec(await redis.info("memory"))?.[1]);
}
