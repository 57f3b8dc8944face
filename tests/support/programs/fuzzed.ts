// A gateway on Node in a process of its own, for a test that sends it anything at all. Beside it a port that says what it holds in
// memory once the garbage is collected: started with --expose-gc.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { connect } from "../../../engine/index.ts";
import { openDoor } from "../../../gateway/access/open-door.ts";
import { createApp } from "../../../gateway/app.ts";
import { serve } from "../../../gateway/entry/node.ts";
import { fuzzedWorkflows } from "../fuzz/workflows.ts";

const [url = "", namespace = "", dir = ""] = process.argv.slice(2);
const millrace = await connect({ url, namespace, workflows: fuzzedWorkflows, blobs: new FsBlobStore(dir) });
const say = (message: string, properties?: Record<string, unknown>) =>
  console.log(
    `failed: ${message} ${properties?.method} ${properties?.path} ${String((properties?.error as Error)?.stack)}`,
  );
const log = { info: () => {}, warn: () => {}, error: say };
const limits = { uploadBytes: 300_000, bodyIdleMs: 1_000, waitMs: 1_000, completionMs: 4_000, openUploads: 5_000 };
const listening = await serve(
  (upgradeWebSocket) => createApp({ millrace, door: openDoor, upgradeWebSocket, limits, log }),
  { host: "127.0.0.1", port: 0 },
);
const control = createServer(async (_, response) => {
  // What is collected may hold what is collected the next time.
  for (let i = 0; i < 5; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  response.end(String(heapUsed + external));
});
control.listen(0, "127.0.0.1", () => {
  console.log(`listens on ${listening.port} ${(control.address() as AddressInfo).port}`);
});
process.once("SIGTERM", async () => {
  control.close();
  control.closeAllConnections();
  await listening.close();
  await millrace.close();
  console.log("stopped");
});
