import type { TestKitOptions } from "../../engine/testing/index.ts";
import { redisUrl } from "./redis.ts";

/** The suite's own Redis for a test kit: most tests need no server more. */
export function kitOptions(): TestKitOptions {
  return { url: redisUrl, timeoutMs: 20_000 };
}
