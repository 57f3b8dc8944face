import type { Redis } from "ioredis";
import { vi } from "vitest";
import { rawRedis } from "../redis.ts";
import { type RestartableRedis, restartableRedis } from "../restartable-redis.ts";

export interface Replicated extends AsyncDisposable {
  readonly primary: RestartableRedis;
  readonly replica: RestartableRedis;
  /** Resolves once the replica has all that the primary had when this was called. */
  inStep(): Promise<void>;
  /** Keeps what is written from here on from the replica: it is stopped, and its connection closed. */
  detach(): Promise<void>;
  /** Kills the primary, wakes the replica and makes it the primary. */
  promote(): Promise<void>;
}

/** A primary and its replica, both with append-only files. For `await using`. */
export async function replicated(): Promise<Replicated> {
  const args = ["--repl-diskless-sync-delay", "0", "--repl-timeout", "5"];
  const primary = await restartableRedis({ args });
  const replica = await restartableRedis({ args: [...args, "--replicaof", "127.0.0.1", String(primary.port)] });
  await linked(rawRedis(replica.url));
  return {
    ...{ primary, replica },
    async inStep() {
      // The count of replicas that have acknowledged all of this connection's writes, and so all before them.
      const client = rawRedis(primary.url);
      await client.set("in-step", "1");
      const reached = await client.call("WAIT", "1", "10000");
      client.disconnect();
      if (reached !== 1) throw new Error("The replica does not keep up.");
    },
    async detach() {
      replica.signal("SIGSTOP");
      const client = rawRedis(primary.url);
      await client.call("CLIENT", "KILL", "TYPE", "replica");
      client.disconnect();
    },
    async promote() {
      await primary.kill();
      replica.signal("SIGCONT");
      const client = rawRedis(replica.url);
      await client.call("REPLICAOF", "NO", "ONE");
      client.disconnect();
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([primary, replica].map((each) => each[Symbol.asyncDispose]()));
    },
  };
}

/** Resolves once a replica is connected to its primary and has its data. */
async function linked(client: Redis): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await client.info("replication")).includes("master_link_status:up")) throw new Error("It is not linked.");
    },
    { timeout: 15_000, interval: 20 },
  );
}
