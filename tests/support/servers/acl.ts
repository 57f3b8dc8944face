import { rawRedis } from "../redis.ts";
import { restartableRedis } from "../restartable-redis.ts";

export interface AclRedis extends AsyncDisposable {
  /** With the administrator's name and password: the default user may do nothing here. */
  readonly url: string;
  /** The server's address for a user: `redis://NAME:PASSWORD@127.0.0.1:PORT`. */
  as(name: string, password: string): string;
  /** Makes a user, or changes it: `set("worker", "on", ">secret", "~{app:*", "+@all")`. */
  set(name: string, ...rules: string[]): Promise<void>;
  /** Gives a user another password. Those who are connected stay so; `end` closes their connections as well. */
  rotate(name: string, password: string, end?: boolean): Promise<void>;
}

const ADMIN = "admin";

/** A Redis with users that have passwords and rights, and none for whoever has no name. For `await using`. */
export async function aclRedis(): Promise<AclRedis> {
  const redis = await restartableRedis({ appendOnly: false });
  const { hostname, port } = new URL(redis.url);
  const as = (name: string, password: string) => `redis://${name}:${password}@${hostname}:${port}`;
  const first = rawRedis(redis.url);
  await first.call("ACL", "SETUSER", ADMIN, "on", `>${ADMIN}`, "~*", "&*", "+@all");
  const admin = rawRedis(as(ADMIN, ADMIN));
  await admin.call("ACL", "SETUSER", "default", "resetpass", "off");
  first.disconnect();
  return {
    url: as(ADMIN, ADMIN),
    as,
    set: async (name, ...rules) => void (await admin.call("ACL", "SETUSER", name, ...rules)),
    async rotate(name, password, end = false) {
      await admin.call("ACL", "SETUSER", name, "resetpass", `>${password}`);
      if (end) await admin.call("CLIENT", "KILL", "USER", name);
    },
    async [Symbol.asyncDispose]() {
      admin.disconnect();
      await redis[Symbol.asyncDispose]();
    },
  };
}
