import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { MillraceError } from "../../errors.ts";
import { fetchRedis, LIBRARIES, SERVER } from "./fetch.ts";

const run = promisify(execFile);

/** A server program that was seen to run here. */
export interface RedisProgram {
  path: string;
  /** What it must be started with beside the environment of this process. */
  env: Record<string, string>;
}

/** The engine's scripts use what came with this version. */
const OLDEST = [6, 2] as const;

/**
 * A Redis server program: `redis-server` or `valkey-server` on the PATH, else one fetched before into `HOME/redis`,
 * else one fetched now. Fetching takes a few seconds and needs Debian or one of its descendants, but not root.
 *
 * @param home where a fetched server is kept
 * @throws MillraceError `no_redis_server`, saying what to install
 */
export async function findRedis(home: string): Promise<RedisProgram> {
  for (const path of ["redis-server", "valkey-server"]) {
    const installed = { path, env: {} };
    if (await runs(installed)) return installed;
  }
  const dir = resolve(home, "redis");
  const fetched = { path: join(dir, SERVER), env: { LD_LIBRARY_PATH: join(dir, LIBRARIES) } };
  // Twice, since another process that found none may remove what this one has just fetched.
  for (let attempt = 1; attempt <= 2; attempt++) {
    if (await runs(fetched)) return fetched;
    try {
      await fetchRedis(dir);
    } catch (error) {
      throw nothingFound(error);
    }
  }
  if (await runs(fetched)) return fetched;
  throw nothingFound(new Error(`${fetched.path} was fetched and does not run here`));
}

/** Whether it starts and is new enough. One that is absent, broken or made for another system is simply not one to use. */
async function runs({ path, env }: RedisProgram): Promise<boolean> {
  try {
    const { stdout } = await run(path, ["--version"], { timeout: 5_000, env: { ...process.env, ...env } });
    const [, major, minor] = /\bv=(\d+)\.(\d+)/.exec(stdout) ?? [];
    return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
  } catch {
    return false;
  }
}

function nothingFound(cause: unknown): MillraceError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError(
    "no_redis_server",
    `There is no redis-server or valkey-server (${OLDEST.join(".")} or later) on the PATH, and none could be fetched: ${reason}
Install one, or set REDIS_URL to a server that runs elsewhere:
  Debian, Ubuntu   sudo apt-get install redis-server
  Fedora, RHEL     sudo dnf install valkey
  Alpine           sudo apk add valkey
  Arch             sudo pacman -S valkey
  macOS            brew install redis
  with Docker      docker run -d -p 127.0.0.1:6379:6379 redis:7, then REDIS_URL=redis://127.0.0.1:6379`,
    { cause },
  );
}
