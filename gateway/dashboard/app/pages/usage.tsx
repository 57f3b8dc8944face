import { useMemo, useState } from "preact/hooks";
import { useAsked } from "../ask.ts";
import { Chart } from "../charts/chart.tsx";
import { cost, whole } from "../format.ts";
import { pathOf } from "../ui/pager.tsx";
import { Empty, Head, Loading, Table } from "../ui/parts.tsx";
import { Problem } from "../ui/problem.tsx";

interface Used {
  tokens: number;
  cost: number;
  days: { day: string; workflow: string; tokens: number; cost: number }[];
}

const DAY_MS = 86_400_000;
const TOKENS = [{ name: "tokens", colour: "--blue" }];
const COST = [{ name: "cost", colour: "--violet" }];

/** What the runs of the tenant have used. */
export function UsagePage() {
  const [from, setFrom] = useState(dayOf(Date.now() - 29 * DAY_MS));
  const [to, setTo] = useState(dayOf(Date.now()));
  const [workflow, setWorkflow] = useState("");
  const [key, setKey] = useState("");
  const path = pathOf("/v1/usage", { from, to, workflow, key });
  const { data, error, again } = useAsked<Used>(path, 15_000);
  const days = useMemo(() => byDay(data?.days ?? [], from, to), [data, from, to]);
  const workflows = useMemo(() => byWorkflow(data?.days ?? []), [data]);
  return (
    <>
      <Head
        title="Usage and cost"
        lead="What the runs of your tenant have said that they used, by UTC day. It is kept for 92 days."
      />
      <form class="filters" aria-label="Narrow the usage" onSubmit={(event) => event.preventDefault()}>
        <label>
          From
          <input
            type="date"
            value={from}
            max={to}
            onChange={(event) => event.currentTarget.value && setFrom(event.currentTarget.value)}
          />
        </label>
        <label>
          To
          <input
            type="date"
            value={to}
            min={from}
            onChange={(event) => event.currentTarget.value && setTo(event.currentTarget.value)}
          />
        </label>
        <label>
          Workflow
          <input
            type="search"
            placeholder="any"
            value={workflow}
            onChange={(event) => setWorkflow(event.currentTarget.value.trim())}
          />
        </label>
        <label>
          Key
          <input
            type="search"
            placeholder="any"
            value={key}
            onChange={(event) => setKey(event.currentTarget.value.trim())}
          />
        </label>
      </form>
      <Problem error={error} what="The usage cannot be shown" again={again} />
      {data === undefined ? error === undefined ? <Loading /> : null : null}
      {data !== undefined && data.days.length === 0 ? (
        <Empty title="Nothing was used in this time.">
          <p>
            A handler says what it uses with <code>ctx.usage({"{ tokens: 1200, cost: 0.004 }"})</code>.
          </p>
        </Empty>
      ) : null}
      {data === undefined || data.days.length === 0 ? null : (
        <>
          <dl class="facts large">
            <div>
              <dt>Tokens</dt>
              <dd>{whole(data.tokens)}</dd>
            </div>
            <div>
              <dt>Cost</dt>
              <dd>{cost(data.cost)}</dd>
            </div>
          </dl>
          <div class="charts">
            <Chart title="Tokens by day" series={TOKENS} data={days.tokens} format={whole} isBars isWhole />
            <Chart title="Cost by day" series={COST} data={days.cost} format={cost} isBars />
          </div>
          <Table label="Usage by workflow" columns={["Workflow", "Tokens", "Cost", "Last day"]}>
            {workflows.map((each) => (
              <tr key={each.workflow}>
                <th scope="row">{each.workflow}</th>
                <td class="number">{whole(each.tokens)}</td>
                <td class="number">{cost(each.cost)}</td>
                <td class="number">{each.day}</td>
              </tr>
            ))}
          </Table>
        </>
      )}
    </>
  );
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** Each day of the time, those with nothing too, as charts take it. */
function byDay(days: Used["days"], from: string, to: string): Record<"tokens" | "cost", (number | null)[][]> {
  const at: number[] = [];
  for (let time = Date.parse(from); time <= Date.parse(to) && at.length < 400; time += DAY_MS) at.push(time / 1_000);
  const sum = (of: "tokens" | "cost") =>
    at.map((seconds) => {
      const own = days.filter(({ day }) => day === dayOf(seconds * 1_000));
      return own.length === 0 ? null : own.reduce((total, each) => total + each[of], 0);
    });
  return { tokens: [at, sum("tokens")], cost: [at, sum("cost")] };
}

function byWorkflow(days: Used["days"]): Used["days"] {
  const found = new Map<string, Used["days"][number]>();
  for (const each of days) {
    const known = found.get(each.workflow) ?? { ...each, tokens: 0, cost: 0 };
    const day = known.day > each.day ? known.day : each.day;
    found.set(each.workflow, { ...known, day, tokens: known.tokens + each.tokens, cost: known.cost + each.cost });
  }
  return [...found.values()].sort((a, b) => b.tokens - a.tokens || b.cost - a.cost);
}
