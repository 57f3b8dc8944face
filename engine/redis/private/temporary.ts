import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PrivateRedis, startPrivateRedis } from "./start.ts";

/**
 * Starts a Redis server of one's own that keeps its data in memory alone. Once `stop()` has resolved nothing is left of it.
 *
 * @param home where a server program is kept that had to be fetched; default `.millrace`
 * @throws as `startPrivateRedis`
 */
export async function startTemporaryRedis(home = ".millrace"): Promise<PrivateRedis> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-"));
  const remove = () => rm(dir, { recursive: true, force: true });
  try {
    const redis = await startPrivateRedis({ dir, home, appendOnly: false });
    return { ...redis, stop: () => redis.stop().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}
