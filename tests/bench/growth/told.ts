import { median, spread } from "../support/quantile.ts";
import type { Report, Row } from "../support/report.ts";
import type { Cost } from "./work.ts";

/** Two sizes of the same thing, by what they are called. */
type Rounds = Record<string, Cost[]>;

/** Tells what a unit costs in two sizes, and holds the larger against the smaller. */
export function tell(
  report: Report,
  title: string,
  unit: string,
  rounds: Rounds,
  goal: { goal: string; most: number },
) {
  const of = (costs: Cost[], what: keyof Cost) => median(costs.map((cost) => cost[what]));
  report.details(
    title,
    Object.entries(rounds).map(
      ([size, costs]): Row => ({
        size,
        [`µs/${unit}`]: of(costs, "wall").toFixed(1),
        "from … to": spread(
          costs.map(({ wall }) => wall),
          1,
        ),
        "Redis µs": of(costs, "redis").toFixed(1),
        "worker µs": of(costs, "worker").toFixed(1),
      }),
    ),
  );
  const [small, large] = Object.values(rounds).map((costs) => of(costs, "wall")) as [number, number];
  report.goal({
    ...goal,
    ...{ reached: `${large.toFixed(1)} µs/${unit}`, against: `${small.toFixed(1)} µs/${unit}`, ratio: large / small },
  });
}
