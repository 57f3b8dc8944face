import { readdir } from "node:fs/promises";
import { type GatewayRuntime, type StartedProcess, startFile } from "./process.ts";
import { freshNamespace, leftovers, redisUrl } from "./redis.ts";
import { temporaryDir } from "./run.ts";
import { startWorkerd } from "./workerd.ts";

/** A gateway behind a runtime's entry, and a worker for the workflows of `gatewayWorkflows`. */
export interface Entry {
  readonly port: number;
  readonly server: StartedProcess;
  /** How many things its blob store holds. */
  stored(): Promise<number>;
  /** Starts another one on the same port. */
  again(): StartedProcess;
  stop(): Promise<unknown>;
}

const PROGRAM = "tests/support/programs/serve-entry.ts";

export async function startEntry(runtime: GatewayRuntime): Promise<Entry> {
  const namespace = freshNamespace();
  if (runtime === "workerd") return startOnWorkerd(namespace);
  const dir = await temporaryDir();
  const server = startFile(runtime, PROGRAM, { args: [redisUrl, namespace, dir] });
  const port = Number((await server.line(new RegExp(`${runtime} listens on`))).split(" ").at(-1));
  return {
    ...{ port, server, stop: () => server.stop() },
    again: () => startFile(runtime, PROGRAM, { args: [redisUrl, namespace, dir, String(port)] }),
    stored: async () =>
      (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length,
  };
}

async function startOnWorkerd(namespace: string): Promise<Entry> {
  const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: "redis:" };
  const args = ["worker", "--workflows", "tests/support/programs/edge-steps.ts"];
  const worker = startFile("node", "cli/main.ts", { args, env });
  const [gateway] = await Promise.all([
    startWorkerd("tests/support/programs/edge-entry.ts", env),
    worker.line(/^worker \S+ serves /),
  ]);
  const { port, process: server } = gateway;
  return {
    ...{ port, server, stop: () => Promise.all([gateway.stop(), worker.stop()]) },
    again() {
      throw new Error("It is workerd that listens.");
    },
    stored: async () => (await leftovers(redisUrl, namespace)).filter((key) => key.includes(":blobs:")).length,
  };
}
