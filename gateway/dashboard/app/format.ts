/** `2.4 s`, `3 min 5 s`, `2 h 10 min`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(seconds, 60, "min", 1, "s");
  if (seconds < 86_400) return pair(seconds, 3_600, "h", 60, "min");
  return pair(seconds, 86_400, "d", 3_600, "h");
}

function pair(seconds: number, large: number, name: string, small: number, less: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${name}${rest === 0 ? "" : ` ${rest} ${less}`}`;
}

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(undefined, {
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit" },
  ...{ fractionalSecondDigits: 3, hourCycle: "h23" },
});

/** A time in full, in the words and the zone of this browser. */
export function fullTime(time: string): string {
  return WHEN.format(new Date(time));
}

/** The time of day with milliseconds. */
export function clock(time: string): string {
  return CLOCK.format(new Date(time));
}

/** `12 s ago`, `in 3 min`. */
export function relative(time: string, now: number): string {
  const ms = now - Date.parse(time);
  const coarse = (length: number) => duration(length < 60_000 ? Math.floor(length / 1_000) * 1_000 : length);
  if (Math.abs(ms) < 1_000) return "now";
  return ms > 0 ? `${coarse(ms)} ago` : `in ${coarse(-ms)}`;
}

/** `1,234` */
export function whole(value: number): string {
  return value.toLocaleString(undefined, { maximumFractionDigits: 0 });
}

/** A sum of money in billionths, without trailing zeros. */
export function cost(value: number): string {
  return value.toLocaleString(undefined, { maximumFractionDigits: 6 });
}

export function bytes(size: number): string {
  if (size < 1_000) return `${size} B`;
  const units = ["KB", "MB", "GB"];
  let value = size;
  let unit = "B";
  for (const next of units) {
    if (value < 1_000) break;
    value /= 1_000;
    unit = next;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** A value as JSON that people read. */
export function pretty(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
}

/** Both ends of an id: enough to tell those of one page apart. */
export function short(id: string): string {
  return id.length <= 18 ? id : `${id.slice(0, 8)}…${id.slice(-8)}`;
}
