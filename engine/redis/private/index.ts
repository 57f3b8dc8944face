/** The engine's second door, for server runtimes only: a Redis server of one's own. Nothing else of the engine uses it. */
export { type PrivateRedis, type PrivateRedisOptions, startPrivateRedis } from "./start.ts";
export { startTemporaryRedis } from "./temporary.ts";
