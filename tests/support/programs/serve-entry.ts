// A program for tests to start under each runtime: a gateway behind that runtime's entry, and a worker beside it.
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { connect, createWorker } from "../../../engine/index.ts";
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { failingLog, failingSockets } from "../failing.ts";
import { gatewayWorkflows } from "../gateway-workflows.ts";

const [url = "", namespace = "", dir = "", port = "0"] = process.argv.slice(2);
const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";
const { serve } = await import(`../../../gateway/entry/${runtime}.ts`);

const { workflows } = gatewayWorkflows();
const millrace = await connect({ url, namespace, workflows, blobs: new FsBlobStore(dir) });
const worker = createWorker(millrace, { drainMs: 100 });
await worker.start();
const makeApp = (upgradeWebSocket: Parameters<typeof createApp>[0]["upgradeWebSocket"]) => {
  const limits = { uploadBytes: 2_000_000 };
  const failing = failingSockets(upgradeWebSocket);
  return createApp({ millrace, door: openDoor, upgradeWebSocket: failing, limits, log: failingLog });
};
try {
  const listening = await serve(makeApp, { host: "127.0.0.1", port: Number(port) });
  console.log(`${runtime} listens on ${listening.port}`);
  process.once("SIGTERM", async () => {
    await Promise.all([listening.close(), listening.close()]);
    await stop(0);
  });
} catch (error) {
  const { name, code, message } = error as Error & { code?: string };
  console.log(`did not start: ${name} ${code} ${message}`);
  await stop(3);
}

async function stop(code: number): Promise<void> {
  await worker.stop();
  await millrace.close();
  console.log("stopped");
  process.exit(code);
}
