import { createRequire } from "node:module";
import { cpus } from "node:os";
import { fanout } from "./gateway.ts";
import { growth } from "./growth.ts";
import { latency } from "./latency.ts";
import { admissions, drips, uploads } from "./load.ts";
import { memory } from "./memory.ts";
import { restate } from "./restate.ts";
import { withBench } from "./support/processes.ts";
import { Report, type Topic } from "./support/report.ts";
import { settings } from "./support/settings.ts";
import { throughput } from "./throughput.ts";

// npm run bench -- TOPIC …      measures these, or all, and prints what is to be reached and what is
const TOPICS: readonly Topic[] = [throughput, restate, latency, growth, memory, fanout, uploads, admissions, drips];
const JSON_PATH = ".millrace/bench.json";

const names = process.argv.slice(2);
const unknown = names.find((name) => !TOPICS.some((topic) => topic.name === name));
if (unknown !== undefined) {
  console.error(`There is no topic ${unknown}: ${TOPICS.map((topic) => topic.name).join(", ")}`);
  process.exit(2);
}
const topics = TOPICS.filter((topic) => names.length === 0 || names.includes(topic.name));

const require = createRequire(import.meta.url);
const versionOf = (name: string) => (require(`../../node_modules/${name}/package.json`) as { version: string }).version;
const redis = await withBench(async ({ redis }) => /redis_version:(\S+)/.exec(await redis.info("server"))![1]!);
const versions = {
  Redis: redis,
  Node: process.versions.node,
  Bun: versionOf("@oven/bun-linux-x64"),
  BullMQ: versionOf("bullmq"),
  ioredis: versionOf("ioredis"),
  ws: versionOf("ws"),
};
const machine = `${cpus().length} × ${cpus()[0]!.model}`;
const list = (values: object) =>
  Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");

const report = new Report();
for (const topic of topics) {
  report.begin(topic.name);
  await topic.measure(report).catch((error) => report.fail(error));
}
console.log(`${list(versions)}; on ${machine}`);
console.log(`${settings.rounds} rounds in turn, after one that is not counted; ${list(settings)}`);
const isWhole = await report.tell({ machine, versions, settings }, topics, JSON_PATH);
process.exit(isWhole ? 0 : 1);
