// A program for tests to kill: it starts a private Redis in the directory that it is given, says so, and waits.
import { startPrivateRedis } from "../../../engine/redis/private/index.ts";

const [dir = "", home = ""] = process.argv.slice(2);
process.on("SIGINT", () => console.log("interrupted"));
const redis = await startPrivateRedis({ dir, home });
console.log(JSON.stringify({ pid: redis.pid, port: redis.port }));
console.log(`redis ended with ${await redis.exited}`);
