import { bullmq } from "./contenders/bullmq.ts";
import { millrace } from "./contenders/millrace.ts";
import { untilLeft } from "./support/drain.ts";
import { byCallers } from "./support/http.ts";
import { type Bench, withBench } from "./support/processes.ts";
import { mb, usedMemory } from "./support/redis.ts";
import type { Report, Row, Topic } from "./support/report.ts";
import { served } from "./support/served.ts";
import { settings } from "./support/settings.ts";

/** Few enough that one worker can have all of them in hand. */
const RUNS = Math.min(3_000, settings.runs);
const CALLERS = 100;
/** How often the resident memory is looked at. */
const LOOKS = 10;
const COMPARED = { millrace, bullmq };
type Name = keyof typeof COMPARED;

export const memory: Topic = {
  name: "memory",
  about: [
    `bytes of Redis for each of ${RUNS} chains: queued, with the second step at work, ended; BullMQ keeps its jobs (removeOnComplete: false) and all of its events`,
    `resident memory of a gateway and a worker while ${settings.memoryRuns} runs are started and waited for over HTTP by ${CALLERS} callers`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      const ours = await bytesOf(bench, "millrace");
      const theirs = await bytesOf(bench, "bullmq");
      report.details("bytes of Redis a chain", [
        { contender: millrace.name, ...ours },
        { contender: bullmq.name, ...theirs },
      ]);
      report.goal({
        goal: "Redis bytes of an ended run that is kept against bullmq: below",
        ...{
          reached: `${ours.ended} bytes`,
          against: `${theirs.ended} bytes`,
          ratio: ours.ended / theirs.ended,
          most: 1,
        },
      });
    });
    await withBench((bench) => resident(bench, report));
  },
};

async function bytesOf(bench: Bench, name: Name): Promise<Record<"queued" | "running" | "ended", number>> {
  const { url, redis } = bench;
  const worker = bench.start("contender", [name]);
  const contender = COMPARED[name];
  const counter = await contender.count(url);
  const pass = async (runs: number) => {
    await redis.flushall();
    const empty = await usedMemory(redis);
    const each = async () => Math.round(((await usedMemory(redis)) - empty) / runs);
    const producer = await contender.produce(url, { keep: true });
    await producer.add(runs);
    await producer.close();
    const queued = await each();
    await worker.call("prepare", { url, keep: true, hold: true, concurrency: runs });
    await worker.call("start");
    while ((await worker.call<number>("held")) < runs) await new Promise((resolve) => setTimeout(resolve, 50));
    const running = await each();
    await worker.call("release");
    await untilLeft(counter, runs);
    await worker.call("stop");
    return { queued, running, ended: await each() };
  };
  // What scripts take is there from then on.
  await pass(10);
  const bytes = await pass(RUNS);
  await counter.close();
  return bytes;
}

async function resident(bench: Bench, report: Report): Promise<void> {
  const { worker, gateway, http, infer } = await served(bench);
  const rows: Row[] = [];
  const part = Math.ceil(settings.memoryRuns / LOOKS);
  for (let look = 0; look <= LOOKS; look += 1) {
    const row: Row = { runs: look * part };
    for (const [name, child] of Object.entries({ worker, gateway })) {
      const { rss, most } = await child.memory();
      row[`${name} MB`] = mb(rss);
      row[`${name} at most`] = mb(most);
      row[`${name} heap`] = mb(await child.call<number>("heap"));
    }
    rows.push({ ...row, "Redis MB": mb(await usedMemory(bench.redis)) });
    if (look < LOOKS) await byCallers(CALLERS, part, infer);
  }
  http.close();
  report.details("resident memory, and what of it is in use, MB", rows);
  for (const name of ["worker", "gateway"]) {
    const [half, full] = [rows[LOOKS / 2]![`${name} MB`]!, rows[LOOKS]![`${name} MB`]!];
    report.goal({
      goal: `resident memory of a ${name}, after ${settings.memoryRuns} runs against half of them: 1.1 or less`,
      ...{ reached: `${full} MB`, against: `${half} MB`, ratio: Number(full) / Number(half), most: 1.1 },
    });
  }
}
