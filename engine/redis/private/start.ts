import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { MillraceError } from "../../errors.ts";
import { findRedis, type RedisProgram } from "./find.ts";
import { freePort, probe } from "./probe.ts";
import { type Supervised, supervise } from "./supervise.ts";

/** Where a Redis server of one's own keeps its data, and how it listens. */
export interface PrivateRedisOptions {
  /** Where its data lives; made if need be. Only one server uses it at a time. */
  dir: string;
  /** Whether it keeps its data in an append-only file, fsynced every second. Default true; false: in memory alone. */
  appendOnly?: boolean;
  /** More of its settings, as its command line takes them: `["--maxmemory", "64mb"]`. */
  args?: readonly string[];
  /** Of 127.0.0.1. Default: a free one. */
  port?: number;
  /** Where a server program is kept that had to be fetched. Default `.millrace`. */
  home?: string;
}

/** A Redis server that ends with this process. */
export interface PrivateRedis {
  /** `redis://127.0.0.1:PORT` */
  url: string;
  port: number;
  /** The server's own. */
  pid: number;
  /** Resolves with its exit code when it has ended, by `stop()` or otherwise. */
  exited: Promise<number>;
  /** SIGTERM, and SIGKILL if it has not ended 10 seconds later. Resolves when it has ended. Idempotent. */
  stop(): Promise<void>;
}

/** Reading a large append-only file takes time. */
const START_TIMEOUT_MS = 60_000;
/** A server whose parent was killed a moment ago is about to end. */
const HOLDER_TIMEOUT_MS = 2_000;
const PORT_ATTEMPTS = 5;

/**
 * Starts a Redis server of one's own on 127.0.0.1, and waits until it takes commands. It ends with this process, however
 * that ends, and Ctrl-C does not reach it.
 *
 * @throws MillraceError `no_redis_server` (none here, and none could be fetched), `redis_dir_in_use`, or
 *   `redis_not_started` with what it printed
 */
export async function startPrivateRedis(options: PrivateRedisOptions): Promise<PrivateRedis> {
  const dir = resolve(options.dir);
  const program = await findRedis(options.home ?? ".millrace");
  await mkdir(dir, { recursive: true });
  await waitUntilUnused(dir);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const server = await launch(program, dir, port, options);
    const failure = await notReady(server, port);
    if (failure === undefined) return hold(dir, port, server);
    await server.stop();
    const taken = failure.includes("Address already in use");
    if (!taken || options.port !== undefined || attempt === PORT_ATTEMPTS)
      throw new MillraceError(
        "redis_not_started",
        `The private Redis server did not start on port ${port}: ${failure}`,
      );
  }
}

function launch(program: RedisProgram, dir: string, port: number, options: PrivateRedisOptions): Promise<Supervised> {
  const durability = options.appendOnly === false ? ["no"] : ["yes", "--appendfsync", "everysec"];
  const network = ["--bind", "127.0.0.1", "--port", String(port)];
  // No snapshots: either the append-only file is the truth, or nothing is kept.
  const storage = ["--dir", dir, "--save", "", "--appendonly", ...durability];
  return supervise(program.path, [...network, ...storage, ...(options.args ?? [])], program.env);
}

/** Resolves when the server takes commands; with the reason when it will not. */
async function notReady(server: Supervised, port: number): Promise<string | undefined> {
  let ended = false;
  const end = server.exited.then(() => {
    ended = true;
  });
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; ) {
    // Its process id tells it from another server that was quicker to take the port.
    const found = await probe(port);
    if (found?.pid === server.pid && !found.loading) return undefined;
    if (ended) return server.output();
    await Promise.race([end, after(10)]);
  }
  return `it takes no commands after ${START_TIMEOUT_MS / 1000} s\n${server.output()}`;
}

const holderFile = (dir: string) => join(dir, "server.json");

/** Two servers on one append-only file would ruin it, so each writes down who it is. */
async function hold(dir: string, port: number, server: Supervised): Promise<PrivateRedis> {
  const { pid, exited, stop } = server;
  await writeFile(holderFile(dir), JSON.stringify({ pid, port }));
  return { url: `redis://127.0.0.1:${port}`, port, pid, exited, stop };
}

async function waitUntilUnused(dir: string): Promise<void> {
  const holder = await readHolder(dir);
  if (holder === undefined) return;
  for (const deadline = Date.now() + HOLDER_TIMEOUT_MS; (await probe(holder.port))?.pid === holder.pid; ) {
    if (Date.now() > deadline)
      throw new MillraceError(
        "redis_dir_in_use",
        `${dir} is in use by the Redis server on port ${holder.port}, process ${holder.pid}. Stop what started it, or give another directory.`,
      );
    await after(50);
  }
}

async function readHolder(dir: string): Promise<{ pid: number; port: number } | undefined> {
  try {
    return JSON.parse(await readFile(holderFile(dir), "utf8")) as { pid: number; port: number };
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
