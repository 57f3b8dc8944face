import { writeFile } from "node:fs/promises";
import type { Redis } from "ioredis";
import { vi } from "vitest";
import { findRedis } from "../../../engine/redis/private/find.ts";
import { supervise } from "../../../engine/redis/private/supervise.ts";
import { rawRedis } from "../redis.ts";
import { ROOT, temporaryDir } from "../run.ts";
import { serverPort } from "./ports.ts";
import { type Replicated, replicated } from "./replicated.ts";

export interface Sentinel extends AsyncDisposable {
  /** `redis+sentinel://127.0.0.1:PORT/main` */
  readonly url: string;
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly servers: Replicated;
  /** The port of the primary, as the sentinel knows it. */
  primaryPort(): Promise<number>;
  /** Of the two servers, the one that is not at this port. */
  other(port: number): number;
  /** Resolves once the replica has all that the primary had when this was called. */
  inStep(): Promise<void>;
  /** A planned failover. Resolves once the former primary follows the new one. */
  failover(): Promise<void>;
}

const NAME = "main";
/** After which the sentinel takes a server for dead. */
const DOWN_AFTER_MS = 1_000;

/** One sentinel, whose word is enough, and a primary with a replica. For `await using`. */
export async function sentinel(): Promise<Sentinel> {
  const servers = await replicated();
  const port = await serverPort();
  const dir = await temporaryDir();
  const settings = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${dir}`,
    `sentinel monitor ${NAME} 127.0.0.1 ${servers.primary.port} 1`,
    `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${NAME} 10000`,
  ];
  const file = `${dir}/sentinel.conf`;
  await writeFile(file, `${settings.join("\n")}\n`);
  const { path, env } = await findRedis(`${ROOT}.millrace`);
  const program = await supervise(path, [file, "--sentinel"], env);
  const address = `127.0.0.1:${port}`;
  const ask = (...args: string[]) => once(`redis://${address}`, (client) => client.call("SENTINEL", ...args));
  const primaryPort = async () => Number(((await ask("GET-MASTER-ADDR-BY-NAME", NAME)) as string[])[1]);
  await vi.waitFor(primaryPort, { timeout: 15_000, interval: 20 });
  return {
    ...{ url: `redis+sentinel://${address}/${NAME}`, address, servers, primaryPort },
    other: (port) => (port === servers.primary.port ? servers.replica.port : servers.primary.port),
    async inStep() {
      const reached = await once(`redis://127.0.0.1:${await primaryPort()}`, async (client) => {
        await client.set("in-step", "1");
        return client.call("WAIT", "1", "10000");
      });
      if (reached !== 1) throw new Error("The replica does not keep up.");
    },
    async failover() {
      const before = await primaryPort();
      // It refuses until it has heard of the replica.
      await vi.waitFor(() => ask("FAILOVER", NAME), { timeout: 20_000, interval: 50 });
      const follows = async () => {
        const role = await once(`redis://127.0.0.1:${before}`, (client) => client.info("replication"));
        if ((await primaryPort()) === before || !/role:slave/.test(role)) throw new Error("The failover is not over.");
      };
      await vi.waitFor(follows, { timeout: 20_000, interval: 50 });
    },
    async [Symbol.asyncDispose]() {
      await program.stop();
      await servers[Symbol.asyncDispose]();
    },
  };
}

/** Sentinels close connections to servers whose role they change. */
async function once<T>(url: string, act: (client: Redis) => Promise<T>): Promise<T> {
  const client = rawRedis(url);
  try {
    return await act(client);
  } finally {
    client.disconnect();
  }
}
