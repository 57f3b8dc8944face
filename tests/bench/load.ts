import { once } from "node:events";
import { request } from "node:http";
import type { Runtime } from "../support/runtime-path.ts";
import { runtimePaths } from "../support/runtime-path.ts";
import { SlowSenders } from "../support/slow-senders.ts";
import { Http, oneByOne } from "./support/http.ts";
import { type Bench, withBench } from "./support/processes.ts";
import { median, quantile, spread } from "./support/quantile.ts";
import { mb, usedMemory } from "./support/redis.ts";
import type { Row, Topic } from "./support/report.ts";
import { inTurn } from "./support/rounds.ts";
import { settings } from "./support/settings.ts";

const MB = 1_048_576;
const MOST = 1.15;
const { uploads: UPLOADS, admissionSeconds: SECONDS, callers: CALLERS, memoryMb: MEMORY_MB } = settings;
const SLOTS = 50;
const SLOW = 2_000;
const STARTS = 1_000;

/** What a gateway takes in memory while it is given large documents. */
export const uploads: Topic = {
  name: "uploads",
  about: [
    `peak memory of one gateway process: a document of 100 MB, then one of 1 GB, then ${UPLOADS} of 100 MB at once`,
  ],
  async measure(report) {
    const rows: Row[] = [];
    for (const runtime of ["node", "bun", "deno"] as const) {
      if (runtimePaths[runtime] === undefined) continue;
      await withBench(async (bench) => {
        const { gateway, port, rss } = await begin(bench, runtime);
        const peak = async (count: number, bytes: number) => {
          await gateway.memory();
          await Promise.all(Array.from({ length: count }, () => upload(port, bytes)));
          return (await gateway.memory()).most;
        };
        const [one, large, many] = [await peak(1, 100 * MB), await peak(1, 1_024 * MB), await peak(UPLOADS, 100 * MB)];
        rows.push({
          ...{ runtime, "MB at rest": mb(rss), "100 MB": mb(one), "1 GB": mb(large) },
          [`${UPLOADS} of 100 MB`]: mb(many),
        });
        report.goal({
          goal: `gateway's peak memory on ${runtime}, 1 GB against 100 MB: ${MOST} or less`,
          ...{ reached: `${mb(large)} MB`, against: `${mb(one)} MB`, ratio: large / one, most: MOST },
        });
        report.progress(runtime);
      });
    }
    report.details("peak memory, MB", rows);
  },
};

/** What becomes of more runs than the workers can take. */
export const admissions: Topic = {
  name: "admissions",
  about: [
    `${CALLERS} callers for ${SECONDS} s start runs over one gateway; a worker with ${SLOTS} slots takes 0.3 s for each; Redis may take ${MEMORY_MB} MB`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      await bench.redis.config("SET", "maxmemory", `${MEMORY_MB}mb`);
      const { gateway, port, rss } = await begin(bench, "node");
      await bench.start("worker").call("start", { url: bench.url, set: "gateway", concurrency: SLOTS });
      const { statuses, accepted, waits } = await admitted(port);
      const { most } = await gateway.memory();
      const found = await bench.redis.pipeline(accepted.map((id) => ["exists", `{millrace:0}:run:${id}`])).exec();
      const lost = found!.filter(([, reply]) => reply !== 1).length;
      report.details("more runs than are worked off", [
        {
          "answers by status": JSON.stringify(Object.fromEntries(statuses)),
          "accepted and not stored": lost,
          "told to come back later": waits,
          "gateway MB at rest": mb(rss),
          "gateway MB at most": mb(most),
          "Redis MB": `${mb(await usedMemory(bench.redis))} of ${MEMORY_MB}`,
        },
      ]);
      const other = [...statuses].filter(([status]) => status !== 202 && status !== 429).length;
      report.goal({
        goal: "runs beyond what workers take: 202 or 429, none that was accepted is lost",
        reached: `${lost} lost, ${other} other answers`,
        ...{ against: `${accepted.length} accepted`, ratio: lost + other, most: 0 },
      });
    });
  },
};

/** What senders that never come to an end cost those that do. */
export const drips: Topic = {
  name: "drips",
  about: [
    `one client starts ${STARTS} runs one after the other, alone and beside ${SLOW} senders that bring a byte a second`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      const { port } = await begin(bench, "node");
      const http = new Http(port);
      const start = () =>
        oneByOne(STARTS, (n) => http.expect(202, "POST", "/v1/workflows/work/runs", { input: { n } }));
      const beside = async () => {
        const slow = await SlowSenders.open(port, SLOW);
        try {
          return await start();
        } finally {
          slow.close();
        }
      };
      const took = await inTurn({ alone: start, beside });
      const p99 = (rounds: number[][]) => median(rounds.map((each) => quantile(each, 0.99)));
      const row = (name: string, rounds: number[][]) => ({
        ...{ client: name, "p50 ms": median(rounds.map(median)).toFixed(2), "p99 ms": p99(rounds).toFixed(2) },
        "p99 ms by round": spread(
          rounds.map((each) => quantile(each, 0.99)),
          1,
        ),
      });
      report.details("a healthy client", [row("alone", took.alone), row(`beside ${SLOW}`, took.beside)]);
      report.goal({
        goal: `p99 of a client beside ${SLOW} slow senders, against alone: 2 or less`,
        reached: `${p99(took.beside).toFixed(1)} ms`,
        against: `${p99(took.alone).toFixed(1)} ms`,
        ...{ ratio: p99(took.beside) / p99(took.alone), most: 2 },
      });
      http.close();
    });
  },
};

async function admitted(port: number) {
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
  return { statuses, accepted, waits };
}

async function begin(bench: Bench, runtime: Runtime) {
  const gateway = bench.start("server", ["gateway", bench.url, "millrace", bench.dir], runtime);
  return { gateway, ...((await gateway.ready) as { port: number; rss: number }) };
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
