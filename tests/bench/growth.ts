import { backlog } from "./growth/backlog.ts";
import { history } from "./growth/history.ts";
import { items } from "./growth/items.ts";
import { tenants } from "./growth/tenants.ts";
import { workflows } from "./growth/workflows.ts";
import type { Topic } from "./support/report.ts";

const PARTS: Record<string, Pick<Topic, "about" | "measure">> = { backlog, items, workflows, tenants, history };

export const growth: Topic = {
  name: "growth",
  about: Object.values(PARTS).flatMap((part) => part.about),
  async measure(report) {
    const chosen = process.env.BENCH_GROWTH?.split(",") ?? Object.keys(PARTS);
    for (const name of chosen) {
      const part = PARTS[name];
      if (part === undefined) throw new Error(`Nothing called ${name} grows: ${Object.keys(PARTS)}.`);
      await part.measure(report);
    }
  },
};
