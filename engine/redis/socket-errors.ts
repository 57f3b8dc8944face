import type { EventEmitter } from "node:events";
import type { Redis, RedisOptions } from "ioredis";
import { logger } from "../log.ts";

const log = logger("redis");

/**
 * ioredis hears the first error of a socket and no other. A second one, such as an alert that follows a certificate that was
 * refused, would end the process. Of a connection that has yet to be opened, and of copies of it.
 */
export function hearErrors(redis: Redis): void {
  const { connector } = redis as unknown as { connector: { connect(...args: unknown[]): Promise<EventEmitter> } };
  const connect = connector.connect.bind(connector);
  connector.connect = async (...args) => {
    const socket = await connect(...args);
    socket.on("error", (error) => log.debug("socket: {error}", { error }));
    return socket;
  };
  const duplicate = redis.duplicate.bind(redis);
  redis.duplicate = (override?: Partial<RedisOptions>) => {
    const copy = duplicate(override);
    hearErrors(copy);
    return copy;
  };
}
