/** What a series is told apart by. */
export type Labels = Readonly<Record<string, string | number>>;

/** So many series of one name are kept apart; what comes beyond them is counted together, with `other` for each label. */
const MOST_SERIES = 2_000;
const OTHER = "other";

/** The upper bounds of the times of requests and steps, in seconds. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** The media type of the format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export interface Counter {
  add(count?: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

/** Figures of this process that are counted as things happen, each under its name and with what it is. */
export class Registry {
  readonly #families: (() => string)[] = [];

  /** What only grows. A series is had once by its labels, where it is counted often. */
  counter(name: string, help: string): (labels?: Labels) => Counter {
    const series = new Series(() => new Count());
    this.#families.push(() =>
      family(
        name,
        "counter",
        help,
        series.all.map(([labels, { count }]) => [labels, count]),
      ),
    );
    return (labels = {}) => series.of(labels);
  }

  /** How values are spread over `bounds`, which go up. */
  histogram(name: string, help: string, bounds: readonly number[] = SECONDS): (labels?: Labels) => Histogram {
    const series = new Series(() => new Spread(bounds));
    this.#families.push(() =>
      [
        ...head(name, "histogram", help),
        ...series.all.flatMap(([labels, spread]) => spread.lines(name, labels)),
        "",
      ].join("\n"),
    );
    return (labels = {}) => series.of(labels);
  }

  /** What is asked for when it is read: a counter if it only grows, else a gauge. */
  reads(name: string, type: "counter" | "gauge", help: string, read: () => number): void {
    this.#families.push(() => family(name, type, help, [[{}, read()]]));
  }

  text(): string {
    return this.#families.map((write) => write()).join("");
  }
}

/** A name with its series, as many as may be, in the text format; empty if there are none. */
export function family(
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: readonly (readonly [labels: Labels, value: number])[],
): string {
  if (samples.length === 0) return "";
  const lines = samples.slice(0, MOST_SERIES + 1).map(([labels, value]) => line(name, labels, value));
  return [...head(name, type, help), ...lines, ""].join("\n");
}

class Series<T> {
  readonly #make: () => T;
  readonly #series = new Map<string, [labels: Labels, value: T]>();

  constructor(make: () => T) {
    this.#make = make;
  }

  get all(): [labels: Labels, value: T][] {
    return [...this.#series.values()];
  }

  of(labels: Labels): T {
    const name = labelText(labels);
    const known = this.#series.get(name);
    if (known !== undefined) return known[1];
    const others = Object.fromEntries(Object.keys(labels).map((label) => [label, OTHER]));
    if (this.#series.size >= MOST_SERIES && name !== labelText(others)) return this.of(others);
    const value = this.#make();
    this.#series.set(name, [labels, value]);
    return value;
  }
}

class Count implements Counter {
  count = 0;

  add(count = 1): void {
    this.count += count;
  }
}

class Spread implements Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = [...bounds.map(() => 0), 0];
  }

  observe(value: number): void {
    const at = this.#bounds.findIndex((bound) => value <= bound);
    this.#counts[at === -1 ? this.#bounds.length : at]! += 1;
    this.#sum += value;
  }

  lines(name: string, labels: Labels): string[] {
    let total = 0;
    const buckets = this.#counts.map((count, i) => {
      total += count;
      return line(`${name}_bucket`, { ...labels, le: this.#bounds[i] ?? "+Inf" }, total);
    });
    return [...buckets, line(`${name}_sum`, labels, this.#sum), line(`${name}_count`, labels, total)];
  }
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`, `# TYPE ${name} ${type}`];
}

function line(name: string, labels: Labels, value: number): string {
  return `${name}${labelText(labels)} ${value}`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
