import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colour, theme } from "../theme.ts";

const HEIGHT = 150;

export interface Series {
  name: string;
  /** A colour of the styles, such as `--blue`. */
  colour: string;
}

interface Props {
  title: string;
  series: readonly Series[];
  /** Seconds since 1970, then the values of each series; `null` where there is none. */
  data: readonly (readonly (number | null)[])[];
  format(value: number): string;
  /** A bar for each day. */
  isBars?: boolean;
  /** There are no halves. */
  isWhole?: boolean;
}

/** Figures over time. What it shows last is said in words as well; of days a table has it. */
export function Chart({ title, series, data, format, isBars = false, isWhole = false }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const isDark = theme.value;
  const shape = JSON.stringify(series);
  const formats = useRef(format);
  formats.current = format;

  useEffect(() => {
    const parent = place.current!;
    const make = () => {
      chart.current?.destroy();
      const size = { width: parent.clientWidth, height: HEIGHT };
      chart.current = new uPlot(
        optionsOf({ series, isBars, isWhole }, (value) => formats.current(value), size),
        [[]],
        parent,
      );
      chart.current.setData(aligned(data));
    };
    make();
    const resized = new ResizeObserver(() => chart.current?.setSize({ width: parent.clientWidth, height: HEIGHT }));
    resized.observe(parent);
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", make);
    return () => {
      resized.disconnect();
      system.removeEventListener("change", make);
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [shape, isBars, isWhole, isDark]);
  useEffect(() => chart.current?.setData(aligned(data)), [data]);

  const last = (index: number) => data[index + 1]?.findLast((value) => value !== null);
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        {series.map(({ name, colour: of }, i) => (
          <span key={name}>
            <i style={{ background: `var(${of})` }} /> {name}{" "}
            {isBars ? null : <b>{last(i) === undefined ? "–" : format(last(i)!)}</b>}
          </span>
        ))}
      </figcaption>
      <div ref={place} aria-hidden="true" />
    </figure>
  );
}

/** The least that is shown of time, in seconds: what has just begun is at the right. */
const LEAST_S = 120;

/** One point alone says nothing of how long a time is shown: there is one before, with no values. */
function aligned(data: Props["data"]): uPlot.AlignedData {
  const [at = [], ...values] = data;
  if (at.length !== 1) return data.map((each) => [...each]) as uPlot.AlignedData;
  return [[at[0]! - LEAST_S, at[0]!], ...values.map((each) => [null, ...each])] as uPlot.AlignedData;
}

const HALF_DAY_S = 43_200;
const WHOLE = [1, 2, 5]
  .flatMap((digit) => Array.from({ length: 12 }, (_, power) => digit * 10 ** power))
  .sort((a, b) => a - b);

function rangeOf(isBars: boolean): uPlot.Range.Function {
  return (_, from, to) => {
    const last = to ?? Date.now() / 1_000;
    if (isBars) return [(from ?? last) - HALF_DAY_S, last + HALF_DAY_S];
    return [Math.min(from ?? last, last - LEAST_S), last];
  };
}

function optionsOf(
  { series, isBars = false, isWhole = false }: Pick<Props, "series" | "isBars" | "isWhole">,
  format: (value: number) => string,
  size: { width: number; height: number },
): uPlot.Options {
  const line = colour("--line");
  const axis = {
    ...{ stroke: colour("--dim"), font: "11px system-ui, sans-serif" },
    ...{ grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } },
  };
  const days = (_: uPlot, times: number[]) => times.map((time) => new Date(time * 1_000).toISOString().slice(5, 10));
  const figures = (_: uPlot, values: number[]) => values.map((value) => (value === null ? "" : format(value)));
  return {
    ...size,
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { range: rangeOf(isBars) }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      { ...axis, space: 70, size: 32, ...(isBars && { values: days }) },
      { ...axis, size: 58, values: figures, ...(isWhole && { incrs: WHOLE }) },
    ],
    series: [
      {},
      ...series.map(({ name, colour: of }) => ({
        ...{ label: name, stroke: colour(of), width: 1.8, points: { show: false }, spanGaps: false },
        ...(isBars && { paths: uPlot.paths.bars!({ size: [0.7, 60] }), fill: colour(of) }),
      })),
    ],
  };
}
