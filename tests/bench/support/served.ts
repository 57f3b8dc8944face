import { Http } from "./http.ts";
import type { Bench } from "./processes.ts";

/** A gateway and a worker, each in a process of its own. `infer` starts a chain of three steps over HTTP and waits for its end. */
export async function served(bench: Bench) {
  const { url, dir } = bench;
  const worker = bench.start("worker");
  await worker.call("start", { url, set: "events", concurrency: 300 });
  const gateway = bench.start("server", ["events", url, "millrace", dir]);
  const { port } = (await gateway.ready) as { port: number };
  const http = new Http(port);
  const infer = (n: number) => http.expect(200, "POST", "/v1/inference", { prompt: String(n) }, { Prefer: "wait=60" });
  return { worker, gateway, port, http, infer };
}
