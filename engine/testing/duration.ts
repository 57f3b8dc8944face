import { MillraceError } from "../errors.ts";

const UNITS_MS = { millisecond: 1, second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 };
type Unit = keyof typeof UNITS_MS;

/** A span of time: milliseconds, or a number with a unit, such as `"3 days"` or `"90 seconds"`. */
export type Duration = number | `${number} ${Unit | `${Unit}s`}`;

const LONGEST_MS = 36_525 * UNITS_MS.day;

/** @throws MillraceError `bad_option` */
export function durationMs(duration: Duration): number {
  const ms = typeof duration === "number" ? duration : parse(String(duration));
  if (ms >= 0 && ms <= LONGEST_MS) return Math.round(ms);
  throw new MillraceError(
    "bad_option",
    `${JSON.stringify(duration)} is no duration: give milliseconds from 0 to 100 years, or text such as "3 days".`,
  );
}

/** A duration as people read it: in its largest unit that leaves at most one decimal of use. */
export function durationText(ms: number): string {
  const units = Object.entries(UNITS_MS).filter(([unit]) => unit !== "week");
  const [unit, unitMs] = units.findLast(([, each]) => ms >= each) ?? units[0]!;
  const amount = Math.round((ms / unitMs) * 10) / 10;
  return `${amount} ${unit}${amount === 1 ? "" : "s"}`;
}

function parse(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ([a-z]+?)s?$/.exec(text) ?? [];
  return Object.hasOwn(UNITS_MS, unit ?? "") ? Number(amount) * UNITS_MS[unit as Unit] : Number.NaN;
}
