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
  isBars?: boolean;
}

/** Figures over time. What it shows last is said in words as well. */
export function Chart({ title, series, data, format, isBars = false }: Props) {
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
        optionsOf(series, isBars, (value) => formats.current(value), size),
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
  }, [shape, isBars, isDark]);
  useEffect(() => chart.current?.setData(aligned(data)), [data]);

  const last = (index: number) => data[index + 1]?.findLast((value) => value !== null);
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        {series.map(({ name, colour: of }, i) => (
          <span key={name}>
            <i style={{ background: `var(${of})` }} /> {name} <b>{last(i) === undefined ? "–" : format(last(i)!)}</b>
          </span>
        ))}
      </figcaption>
      <div ref={place} aria-hidden="true" />
    </figure>
  );
}

function aligned(data: Props["data"]): uPlot.AlignedData {
  return data.map((each) => [...each]) as uPlot.AlignedData;
}

function optionsOf(
  series: readonly Series[],
  isBars: boolean,
  format: (value: number) => string,
  size: { width: number; height: number },
): uPlot.Options {
  const line = colour("--line");
  const axis = {
    ...{ stroke: colour("--dim"), font: "11px system-ui, sans-serif" },
    ...{ grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } },
  };
  const bars = isBars ? { paths: uPlot.paths.bars!({ size: [0.7, 60] }) } : {};
  return {
    ...size,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      {
        ...axis,
        space: 70,
        ...(isBars && { values: (_, times) => times.map((time) => new Date(time * 1_000).toISOString().slice(5, 10)) }),
      },
      { ...axis, size: 56, values: (_, values) => values.map((value) => (value === null ? "" : format(value))) },
    ],
    series: [
      {},
      ...series.map(({ name, colour: of }) => ({
        ...{ label: name, stroke: colour(of), width: 1.8, points: { show: false }, spanGaps: false },
        ...(isBars ? { ...bars, fill: colour(of) } : {}),
      })),
    ],
  };
}
