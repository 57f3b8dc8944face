import { connect } from "../../../engine/index.ts";
import { startMany } from "../contenders/millrace.ts";
import { past } from "../support/definitions.ts";
import { Http, oneByOne } from "../support/http.ts";
import { type Bench, withBench } from "../support/processes.ts";
import { median, spread } from "../support/quantile.ts";
import type { Row, Topic } from "../support/report.ts";
import { inTurn } from "../support/rounds.ts";
import { settings } from "../support/settings.ts";

/** Enough to fill each page, so that both answers are as long. */
const FEW = 500;
const SIZES = { few: FEW, many: settings.history };
const MOST = 1.25;
/** What is faster is held against this: between figures so small chance decides. */
const LEAST_MS = 1;
const CALLS = 20;

/** What a dashboard asks for, one after the other. */
const PATHS = [
  "/v1/runs?limit=100",
  "/v1/runs?status=completed",
  "/v1/runs?status=failed",
  "/v1/runs?status=running",
  "/v1/runs?workflow=past",
  "/v1/runs?tag=odd",
  "/v1/runs?tag=seldom",
  "/v1/runs?workflow=past&status=failed",
  "/v1/runs?workflow=past&status=completed&tag=odd",
  "/v1/runs?status=failed&tag=seldom",
  // None is so.
  "/v1/runs?status=failed&tag=odd",
  "/v1/queues",
  "/v1/queues/past/one",
  "/v1/workers",
  "/v1/workflows",
  "/v1/workflows/past",
  "/v1/dead-letters",
  "/v1/dead-letters?workflow=past&step=three",
  "/v1/usage",
  "/v1/schedules",
  "/v1/subscriptions",
  "/v1/webhooks",
  "/v1/config",
  "/v1/keys",
  "/v1/paused",
  "/v1/inbound-hooks",
  "/v1/models",
  "/metrics",
  "/readyz",
];

export const history: Pick<Topic, "about" | "measure"> = {
  about: [
    `history: calls of the gateway with ${SIZES.few} ended runs and with ${SIZES.many}, of which one in ten is a dead letter; both in one Redis, ${CALLS} calls of each a round; ratios are against ${LEAST_MS} ms or more`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      for (const [namespace, count] of Object.entries(SIZES)) {
        await fill(bench, namespace, count);
        report.progress(`${count} runs have ended`);
      }
      const few = await gatewayOf(bench, "few");
      const many = await gatewayOf(bench, "many");
      const rows: (Row & { ratio: string })[] = [];
      for (const [i, call] of few.calls.entries()) {
        const took = await inTurn({ few: () => few.ask(call.path), many: () => many.ask(many.calls[i]!.path) });
        const [a, b] = [median(took.few), median(took.many)];
        rows.push({
          call: call.name,
          ...{ [`ms, ${SIZES.few}`]: a.toFixed(2), [`ms, ${SIZES.many}`]: b.toFixed(2) },
          "from … to": spread(took.many, 2),
          ratio: (b / Math.max(a, LEAST_MS)).toFixed(2),
        });
      }
      few.http.close();
      many.http.close();
      report.details("medians of calls", rows);
      const worst = rows.reduce((most, row) => (Number(row.ratio) > Number(most.ratio) ? row : most));
      report.goal({
        goal: `lists and dashboard calls with ${SIZES.many} ended runs against ${SIZES.few}, the worst: ${MOST} or less`,
        ...{ reached: `${worst[`ms, ${SIZES.many}`]} ms, ${worst.call}`, against: `${worst[`ms, ${SIZES.few}`]} ms` },
        ...{ ratio: Number(worst.ratio), most: MOST },
      });
    });
  },
};

/** Has so many runs end, one in ten with a dead letter, one in a hundred with a tag of its own. */
async function fill(bench: Bench, namespace: string, count: number): Promise<void> {
  const { url } = bench;
  const millrace = await connect({ url, namespace, workflows: [past] });
  const worker = bench.start("worker");
  await worker.call("start", { url, namespace, set: "past", concurrency: 300 });
  await startMany(count, (n) => {
    const tags = [n % 2 === 1 ? "odd" : "even", ...(n % 20 === 0 ? ["seldom"] : [])];
    return millrace.runs.start(past, { fails: n % 10 === 0 }, { tags });
  });
  const open = async () => {
    const queues = await millrace.queues();
    return queues.reduce((sum, { depth, inFlight }) => sum + depth + inFlight, 0);
  };
  while ((await open()) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  await worker.call("stop");
  await worker.end();
  await millrace.close();
}

async function gatewayOf(bench: Bench, namespace: string) {
  const gateway = bench.start("server", ["past", bench.url, namespace, bench.dir]);
  const { port } = (await gateway.ready) as { port: number };
  const http = new Http(port);
  const first = "/v1/runs?limit=100";
  const page = JSON.parse(await http.expect(200, "GET", first)) as { data: { id: string }[]; next: string };
  const last = page.data.at(-1)!.id;
  const calls = [
    ...PATHS.map((path) => ({ name: path, path })),
    { name: "/v1/runs, the second page", path: `${first}&cursor=${encodeURIComponent(page.next)}` },
    { name: "/v1/runs/{id}", path: `/v1/runs/${last}` },
  ];
  return {
    ...{ http, calls },
    ask: async (path: string) => median(await oneByOne(CALLS, () => http.expect(200, "GET", path))),
  };
}
