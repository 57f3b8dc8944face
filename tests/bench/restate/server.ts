import { mkdir } from "node:fs/promises";
import { arch, platform } from "node:os";
import { resolve } from "node:path";
import { freePort } from "../../../engine/redis/private/probe.ts";
import { supervise } from "../../../engine/redis/private/supervise.ts";
import { Http } from "../support/http.ts";
import type { Bench } from "../support/processes.ts";
import { installRestate, PARTITIONS } from "./packages.ts";

/** Starts Restate's server and the service, which then are one to the other what Redis and a worker are to Millrace. */
export async function restateServer(bench: Bench, tell: (text: string) => void) {
  const dir = await installRestate(tell);
  const service = bench.start("restate-service", [resolve(dir)]);
  const port = (await service.ready) as number;
  const [admin, ingress, fabric] = [await freePort(), await freePort(), await freePort()];
  const data = `${bench.dir}/restate`;
  await mkdir(data);
  const program = resolve(dir, `node_modules/@restatedev/restate-server-${platform()}-${arch()}/bin/restate-server`);
  const server = await supervise(program, ["--no-logo"], {
    RESTATE_BASE_DIR: data,
    RESTATE_LISTEN_MODE: "tcp",
    RESTATE_BIND_IP: "127.0.0.1",
    RESTATE_BIND_PORT: String(fabric),
    RESTATE_ADMIN__BIND_PORT: String(admin),
    RESTATE_INGRESS__BIND_PORT: String(ingress),
    RESTATE_DEFAULT_NUM_PARTITIONS: String(PARTITIONS),
    RESTATE_DISABLE_TELEMETRY: "true",
    RESTATE_LOG_FILTER: "warn",
  });
  const operator = new Http(admin);
  const http = new Http(ingress);
  try {
    await until(async () => (await operator.ask("GET", "/health")).status === 200, server.output);
    const uri = `http://127.0.0.1:${port}`;
    await until(async () => (await operator.ask("POST", "/deployments", { uri })).status === 201, server.output);
    await until(async () => (await http.ask("POST", "/chain/call", { n: 0 })).status === 200, server.output);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    call: (n: number) => http.expect(200, "POST", "/chain/call", { n }),
    async stop() {
      operator.close();
      http.close();
      await server.stop();
    },
  };
}

async function until(isSo: () => Promise<boolean>, output: () => string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (await isSo().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`Restate was not ready after a minute: ${output()}`);
}
