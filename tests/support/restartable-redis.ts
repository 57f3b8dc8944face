import { type PrivateRedisOptions, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { ROOT, temporaryDir } from "./run.ts";
import { serverPort } from "./servers/ports.ts";

/** Where a server program is kept that had to be fetched. */
const HOME = `${ROOT}.millrace`;

export interface RestartableRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Where its files are; its append-only ones in `appendonlydir`. */
  readonly dir: string;
  /** SIGSTOP and SIGCONT, and what else it is to get. */
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, stopped or not. Resolves when it has ended. */
  kill(): Promise<void>;
  /** Starts it again on its port. Resolves when it has read its file and takes commands. */
  start(): Promise<void>;
}

/**
 * Settings of a server that loses nothing when it is killed: it writes its file before each reply. One that fsyncs every second
 * puts that off for up to 2 s while an fsync is slow, and replies all the same.
 */
export const KEEPS_ALL_WHEN_KILLED = ["--appendfsync", "no"];

/** A Redis with an append-only file that can be killed and started again. For `await using`. */
export async function restartableRedis(
  options: Omit<PrivateRedisOptions, "dir" | "home" | "port"> = {},
): Promise<RestartableRedis> {
  const dir = await temporaryDir();
  const port = await serverPort();
  const launch = () => startPrivateRedis({ ...options, dir, home: HOME, port });
  let redis = await launch();
  let isUp = true;
  const { url } = redis;
  const kill = async () => {
    if (isUp) process.kill(redis.pid, "SIGKILL");
    isUp = false;
    await redis.exited;
  };
  return {
    ...{ url, port, dir, kill },
    signal: (name) => process.kill(redis.pid, name),
    async start() {
      redis = await launch();
      isUp = true;
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await redis.stop();
    },
  };
}
