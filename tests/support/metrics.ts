export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/**
 * Reads the text format of Prometheus as strictly as it is meant: each family once, with help and type before its samples, names
 * and units by convention, no series twice, and buckets that add up.
 *
 * @throws Error naming the first line that is not so
 */
export function parseMetrics(text: string): { samples: Sample[]; types: Map<string, string> } {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  let family = "";
  for (const line of text.split("\n").slice(0, -1)) {
    const wrong = (why: string) => new Error(`${why}: ${line}`);
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) ([a-z][a-z0-9_]*) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (helped.has(name)) throw wrong("a family twice");
      helped.add(name);
      family = name;
    } else if (kind === "TYPE") {
      if (name !== family || types.has(name)) throw wrong("a type out of place");
      if (!/^(counter|gauge|histogram)$/.test(rest)) throw wrong("no type");
      if ((rest === "counter") !== name.endsWith("_total")) throw wrong("not named as a counter is");
      types.set(name, rest);
    } else {
      const sample = parseSample(line);
      if (sample === undefined) throw wrong("no sample");
      const base = types.get(family) === "histogram" ? sample.name.replace(/_(bucket|sum|count)$/, "") : sample.name;
      if (base !== family) throw wrong(`not of ${family}`);
      const series = line.slice(0, line.lastIndexOf(" "));
      if (seen.has(series)) throw wrong("a series twice");
      seen.add(series);
      samples.push(sample);
    }
  }
  checkHistograms(samples, types);
  return { samples, types };
}

function parseSample(line: string): Sample | undefined {
  const match = /^([a-z][a-z0-9_]*)(?:\{(.*)\})? (-?[0-9.e+-]+)$/.exec(line);
  if (match === null) return undefined;
  const [, name, labelled = "", value] = match as unknown as [string, string, string | undefined, string];
  const labels: Record<string, string> = {};
  const rest = labelled.replaceAll(/([a-z_]+)="((?:[^"\\]|\\["\\n])*)"(,|$)/g, (_, label: string, text: string) => {
    labels[label] = text.replaceAll(/\\(.)/g, (__, of: string) => (of === "n" ? "\n" : of));
    return "";
  });
  return rest === "" && Number.isFinite(Number(value)) ? { name, labels, value: Number(value) } : undefined;
}

function checkHistograms(samples: readonly Sample[], types: ReadonlyMap<string, string>): void {
  for (const [name, type] of types) {
    if (type !== "histogram") continue;
    for (const { labels, value } of samples.filter((sample) => sample.name === `${name}_count`)) {
      const mine = samples.filter(
        (sample) =>
          sample.name === `${name}_bucket` &&
          Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
      );
      const counts = mine.map((sample) => sample.value);
      if (counts.some((count, i) => count < (counts[i - 1] ?? 0))) throw new Error(`the buckets of ${name} go down`);
      if (mine.at(-1)?.labels.le !== "+Inf" || counts.at(-1) !== value) throw new Error(`${name} does not add up`);
    }
  }
}

/** The value of the one series of this name that has these labels; undefined if there is none. */
export function figureOf(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const fits = (sample: Sample) =>
    sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
  const found = parseMetrics(text).samples.filter(fits);
  if (found.length > 1) throw new Error(`${found.length} series of ${name} ${JSON.stringify(labels)}`);
  return found[0]?.value;
}
