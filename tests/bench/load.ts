import { once } from "node:events";
import { request } from "node:http";
import { Redis } from "ioredis";
import { mb, memoryOf, type Processes, said, withProcesses } from "./gateway/processes.ts";

// What a gateway takes in memory while it is given large documents, and what becomes of more runs than the workers can take.
const MB = 1_048_576;
const UPLOADS = Number(process.env.UPLOADS ?? 50);
const SECONDS = Number(process.env.SECONDS ?? 60);
const CALLERS = Number(process.env.CALLERS ?? 100);
/** Of the Redis server, so that it says in time that it has enough. */
const MEMORY_MB = Number(process.env.MEMORY_MB ?? 128);
const SLOTS = 50;

await withProcesses(async (processes) => {
  const { gateway, port, rss } = await begin(processes);
  await memoryOf(gateway);
  await upload(port, 100 * MB);
  const one = await memoryOf(gateway);
  await upload(port, 1_024 * MB);
  const large = await memoryOf(gateway);
  await Promise.all(Array.from({ length: UPLOADS }, () => upload(port, 100 * MB)));
  const many = await memoryOf(gateway);
  console.table({
    "the gateway at rest, MB": mb(rss),
    "at most, with a document of 100 MB": mb(one.most),
    "with one of 1 GB (goal: 1.15 of that)": `${mb(large.most)}, ratio ${(large.most / one.most).toFixed(2)}`,
    [`with ${UPLOADS} of 100 MB at once`]: mb(many.most),
  });
});

await withProcesses(async (processes) => {
  const redis = new Redis(processes.url);
  await redis.config("SET", "maxmemory", `${MEMORY_MB}mb`);
  const { gateway, port, rss } = await begin(processes);
  processes.start("worker", processes.url, SLOTS);
  const statuses = new Map<number, number>();
  const accepted: string[] = [];
  let waits = 0;
  const until = Date.now() + SECONDS * 1_000;
  const caller = async (first: number) => {
    for (let n = first; Date.now() < until; n += CALLERS) {
      const response = await fetch(`http://127.0.0.1:${port}/v1/workflows/work/runs`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ input: { n }, metadata: { filler: "x".repeat(2_000) } }),
      });
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      if (response.status === 202) accepted.push(((await response.json()) as { id: string }).id);
      else await response.body?.cancel();
      if (response.status !== 429) continue;
      waits += 1;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * Number(response.headers.get("retry-after"))));
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, i) => caller(i)));
  const { most } = await memoryOf(gateway);
  const used = Number(/used_memory:(\d+)/.exec(await redis.info("memory"))![1]);
  const found = await redis.pipeline(accepted.map((id) => ["exists", `{millrace:0}:run:${id}`])).exec();
  const lost = found!.filter(([, reply]) => reply !== 1).length;
  redis.disconnect();
  console.table({
    [`answers in ${SECONDS} s to ${CALLERS} callers, by status`]: JSON.stringify(Object.fromEntries(statuses)),
    "runs that were accepted and are not stored": lost,
    "told to come back later": waits,
    "the gateway's memory at rest and at most, MB": `${mb(rss)}, ${mb(most)}`,
    "Redis's memory and its limit, MB": `${mb(used)}, ${MEMORY_MB}`,
  });
});

async function begin(processes: Processes) {
  const gateway = processes.start("server", processes.url, processes.dir);
  return { gateway, ...(await said<{ port: number; rss: number }>(gateway, "listening")) };
}

/** Sends a document of so many bytes, as fast as they are taken. @throws Error unless it is stored */
async function upload(port: number, bytes: number): Promise<void> {
  const sent = request({
    ...{ host: "127.0.0.1", port, method: "POST", path: "/v1/documents?name=large.txt" },
    headers: { "Content-Type": "text/plain", "Content-Length": bytes },
  });
  const answered = once(sent, "response");
  const chunk = Buffer.alloc(65_536, "All work and no play makes a dull text. ");
  for (let left = bytes; left > 0; left -= chunk.length)
    if (!sent.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) await once(sent, "drain");
  sent.end();
  const [response] = await answered;
  response.resume();
  await once(response, "end");
  if (response.statusCode !== 201) throw new Error(`The upload was answered with ${response.statusCode}.`);
}
