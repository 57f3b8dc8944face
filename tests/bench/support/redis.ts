import type { Redis } from "ioredis";

async function figure(redis: Redis, section: string, name: string): Promise<number> {
  return Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(await redis.info(section))?.[1]);
}

/** How long the server has computed so far, in seconds. */
export async function redisCpuS(redis: Redis): Promise<number> {
  const name = (kind: string) => `used_cpu_${kind}_main_thread`;
  return (await figure(redis, "cpu", name("user"))) + (await figure(redis, "cpu", name("sys")));
}

/** What it has allocated, in bytes. */
export function usedMemory(redis: Redis): Promise<number> {
  return figure(redis, "memory", "used_memory");
}

/** How often what it is given is written to disk: `no` keeps it in memory alone. */
export type Fsync = "no" | "everysec" | "always";

export async function setFsync(redis: Redis, fsync: Fsync): Promise<void> {
  if (fsync !== "no") await redis.config("SET", "appendfsync", fsync);
  await redis.config("SET", "appendonly", fsync === "no" ? "no" : "yes");
  // The file is begun with what there is.
  while ((await figure(redis, "persistence", "aof_rewrite_in_progress")) > 0)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

/** What each command has cost since the statistics were reset, per `count`, the dearest first. */
export async function commandsPer(redis: Redis, count: number): Promise<Record<string, string | number>[]> {
  const lines = [...(await redis.info("commandstats")).matchAll(/^cmdstat_(\S+):calls=(\d+),usec=(\d+)/gm)];
  return lines
    .map(([, command, calls, us]) => ({ command: command!, calls: Number(calls), us: Number(us) }))
    .filter(({ us }) => us / count >= 0.05)
    .sort((a, b) => b.us - a.us)
    .map(({ command, calls, us }) => ({
      command,
      "calls a step": (calls / count).toFixed(3),
      "µs a call": (us / calls).toFixed(2),
      "µs a step": (us / count).toFixed(2),
    }));
}

export function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}
