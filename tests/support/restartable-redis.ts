import { type PrivateRedis, startPrivateRedis } from "../../engine/redis/private/index.ts";
import { ROOT, temporaryDir } from "./run.ts";

export interface RestartableRedis extends AsyncDisposable {
  readonly url: string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL. Resolves when it has ended. */
  kill(): Promise<void>;
  /** Starts it again on its port. Resolves when it has read its file and takes commands. */
  start(): Promise<void>;
}

/** A Redis with an append-only file that can be killed and started again. For `await using`. */
export async function restartableRedis(): Promise<RestartableRedis> {
  const dir = await temporaryDir();
  const home = `${ROOT}.millrace`;
  let redis: PrivateRedis = await startPrivateRedis({ dir, home });
  const { url, port } = redis;
  return {
    url,
    signal: (name: NodeJS.Signals) => process.kill(redis.pid, name),
    async kill() {
      process.kill(redis.pid, "SIGKILL");
      await redis.exited;
    },
    async start() {
      redis = await startPrivateRedis({ dir, home, port });
    },
    [Symbol.asyncDispose]: () => redis.stop(),
  };
}
