import { connect, type Millrace } from "../../../engine/index.ts";
import { STEPS } from "../contenders/chain.ts";
import { chainOf, completedIndex, startMany } from "../contenders/millrace.ts";
import { type Bench, type Child, withBench } from "../support/processes.ts";
import { median, spread } from "../support/quantile.ts";
import type { Topic } from "../support/report.ts";
import { inTurn } from "../support/rounds.ts";
import { settings } from "../support/settings.ts";

const SIZES = { few: 1_000, many: settings.backlog };

export const backlog: Pick<Topic, "about" | "measure"> = {
  about: [
    `backlog: ${settings.runs} chains are worked off while as many are added as end, so that always ${SIZES.few} or ${SIZES.many} wait; both in one Redis`,
  ],
  async measure(report) {
    await withBench(async (bench) => {
      const open = (size: keyof typeof SIZES) => Backlog.open(bench, size, SIZES[size]);
      const [few, many] = [await open("few"), await open("many")];
      report.progress("the backlogs are there");
      const speeds = await inTurn({ few: () => few.speed(), many: () => many.speed() });
      await few.close();
      await many.close();
      const speed = (size: keyof typeof SIZES) => median(speeds[size]);
      report.details(
        "a backlog that stays as large",
        (Object.keys(SIZES) as (keyof typeof SIZES)[]).map((size) => ({
          ...{ "runs that wait": SIZES[size], "steps/s": Math.round(speed(size)), "from … to": spread(speeds[size]) },
        })),
      );
      report.goal({
        goal: `steps/s with a backlog of ${SIZES.many} runs against ${SIZES.few}: 0.9 or more`,
        ...{ reached: `${Math.round(speed("many"))}/s`, against: `${Math.round(speed("few"))}/s` },
        ...{ ratio: speed("many") / speed("few"), least: 0.9 },
      });
    });
  },
};

class Backlog {
  readonly #bench: Bench;
  readonly #namespace: string;
  readonly #size: number;
  readonly #millrace: Millrace;
  readonly #worker: Child;
  #added = 0;

  private constructor(bench: Bench, namespace: string, size: number, millrace: Millrace) {
    this.#bench = bench;
    this.#namespace = namespace;
    this.#size = size;
    this.#millrace = millrace;
    this.#worker = bench.start("worker");
  }

  static async open(bench: Bench, namespace: string, size: number): Promise<Backlog> {
    const millrace = await connect({ url: bench.url, namespace, workflows: [chainOf()] });
    const made = new Backlog(bench, namespace, size, millrace);
    await made.#add(size);
    return made;
  }

  async #add(count: number): Promise<void> {
    this.#added += count;
    await startMany(count, (n) => this.#millrace.runs.start("chain", { n }));
  }

  /** Steps a second, from when a tenth of the runs of a round have ended to when all have. */
  async speed(): Promise<number> {
    const { url, redis } = this.#bench;
    const index = completedIndex(this.#namespace);
    const before = await redis.zcard(index);
    await this.#worker.call("start", { url, namespace: this.#namespace, set: "events", concurrency: 300 });
    let from = 0;
    let first = 0;
    for (;;) {
      const ended = await redis.zcard(index);
      if (from === 0 && ended - before >= settings.runs / 10) [from, first] = [performance.now(), ended];
      if (ended - before >= settings.runs) {
        const took = performance.now() - from;
        await this.#worker.call("stop");
        return (1_000 * STEPS.length * (ended - first)) / took;
      }
      const missing = this.#size - (this.#added - ended);
      if (missing > 0) await this.#add(missing);
      else await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  close(): Promise<void> {
    return this.#millrace.close();
  }
}
