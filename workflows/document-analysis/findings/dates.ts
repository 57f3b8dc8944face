import { ar, de, en, es, fi, fr, id, it, ja, nl, pt, ru, sv, uk, vi, zh } from "chrono-node";

/** A date, as a text has it: always with its year, for a day or a month without one is none. */
export interface FoundIn {
  /** `YYYY-MM-DD`, or `YYYY-MM` where no day is named. */
  date: string;
  /** The last day of a span. */
  end?: string;
  text: string;
}

interface Match extends FoundIn {
  at: number;
}

const PARSERS: Readonly<Record<string, { strict: typeof en.strict }>> = {
  ar,
  de,
  en,
  es,
  fi,
  fr,
  id,
  it,
  ja,
  nl,
  pt,
  ru,
  sv,
  uk,
  vi,
  zh,
};
const YEAR = /\p{Nd}{4}/u;
const ISO = /(?<![\d./-])(\d{4})([-/])(\d{2})\2(\d{2})(?!\d|[-/]\d)/g;
const NUMERIC = /(?<![\d./-])(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?!\d|[./-]\d)/g;
/** What stands before numbers with points that are no dates. */
const COUNTED = /(?:version|release|v\.?|§|section|sec\.?|abschnitt|kapitel|chapter|nr\.?|no\.?|ip)\s*$/i;

/**
 * The dates in a text, in order. Strict: no relative ones, no lone years or numbers, nothing without a year.
 *
 * @param language ISO 639-1: whose names of months are looked for; null: English
 * @param dayFirst whether 3/4/2024 is the third of April
 */
export function datesIn(text: string, language: string | null, dayFirst: boolean): FoundIn[] {
  if (!YEAR.test(text)) return [];
  const found: Match[] = [];
  for (const matches of [numericIn(text, dayFirst), namedIn(text, language), monthsIn(text, language)])
    for (const match of matches)
      if (found.every((other) => match.at >= other.at + other.text.length || match.at + match.text.length <= other.at))
        found.push(match);
  return found.sort((a, b) => a.at - b.at).map(({ at: _, ...date }) => date);
}

/** Whether the day comes first in 3/4/2024: as a document's own unmistakable dates have it, else as its language does. */
export function writesDayFirst(texts: Iterable<string>, language: string | null): boolean {
  for (const text of texts)
    for (const [, first, , second] of text.matchAll(NUMERIC)) {
      if (Number(first) > 12) return true;
      if (Number(second) > 12) return false;
    }
  return language !== null && language !== "en";
}

function* numericIn(text: string, dayFirst: boolean): Generator<Match> {
  for (const match of text.matchAll(ISO)) {
    const date = isoDate(Number(match[1]), Number(match[3]), Number(match[4]));
    if (date !== undefined) yield { at: match.index, text: match[0], date };
  }
  for (const match of text.matchAll(NUMERIC)) {
    const [first, mark, second, year] = [Number(match[1]), match[2], Number(match[3]), Number(match[4])];
    if (mark === "." && COUNTED.test(text.slice(Math.max(0, match.index - 12), match.index))) continue;
    // With points the day comes first in every language that writes so.
    const [day, month] = mark === "." || dayFirst ? [first, second] : [second, first];
    const date = isoDate(year, month, day) ?? (mark === "." ? undefined : isoDate(year, day, month));
    if (date !== undefined) yield { at: match.index, text: match[0], date };
  }
}

/** Dates whose months are named, spans among them. Purely numeric ones are not left to a language's habits. */
function* namedIn(text: string, language: string | null): Generator<Match> {
  const parser = PARSERS[language ?? "en"];
  if (parser === undefined) return;
  for (const { index, text: found, start, end } of parser.strict.parse(text, new Date(0))) {
    if (!YEAR.test(found) || !/\p{L}/u.test(found) || !start.isCertain("month") || !start.isCertain("day")) continue;
    // "March 3 to March 9, 2021": the year of the end is the start's.
    const dated = start.isCertain("year") ? start : end;
    if (!dated?.isCertain("year")) continue;
    const date = isoDate(dated.get("year") ?? 0, start.get("month") ?? 0, start.get("day") ?? 0);
    const last = end?.isCertain("day")
      ? isoDate(end.get("year") ?? 0, end.get("month") ?? 0, end.get("day") ?? 0)
      : undefined;
    if (date === undefined) continue;
    yield { at: index, text: found, date, ...(last !== undefined && last > date ? { end: last } : {}) };
  }
}

const patterns = new Map<string, { pattern: RegExp; months: ReadonlyMap<string, number> }>();

/** "March 2024", and "5 March 2024" in the languages that have no parser of their own: Intl knows their months. */
function* monthsIn(text: string, language: string | null): Generator<Match> {
  const { pattern, months } = monthsOf(language ?? "en");
  for (const match of text.matchAll(pattern)) {
    const [whole, day, name = "", year] = match;
    const month = months.get(name.toLowerCase()) ?? 0;
    const date = isoDate(Number(year), month, day === undefined ? 1 : Number(day));
    if (date !== undefined) yield { at: match.index, text: whole, date: day === undefined ? date.slice(0, 7) : date };
  }
}

function monthsOf(language: string): { pattern: RegExp; months: ReadonlyMap<string, number> } {
  const known = patterns.get(language);
  if (known !== undefined) return known;
  const months = new Map<string, number>();
  // A month is called otherwise after a day in many languages: "marzec", but "5 marca".
  for (const options of [{ month: "long" }, { month: "long", day: "numeric" }, { month: "short" }] as const) {
    const format = new Intl.DateTimeFormat([language, "en"], { ...options, timeZone: "UTC", calendar: "gregory" });
    for (let month = 1; month <= 12; month += 1) {
      const name =
        format.formatToParts(Date.UTC(2001, month - 1, 15)).find((part) => part.type === "month")?.value ?? "";
      const plain = name.toLowerCase().replace(/\.$/, "");
      if (/^\p{L}[\p{L}\p{M}]{2,}$/u.test(plain) && !months.has(plain)) months.set(plain, month);
    }
  }
  const names = [...months.keys()].sort((a, b) => b.length - a.length).join("|");
  const made = {
    months,
    pattern:
      names === ""
        ? /(?!)/g
        : new RegExp(
            `(?<![\\p{L}\\p{N}])(?:(\\d{1,2})[.º]?\\s+(?:de\\s+)?)?(${names})\\.?\\s+(?:de\\s+)?(\\d{4})(?![\\p{L}\\p{N}])`,
            "giu",
          ),
  };
  patterns.set(language, made);
  return made;
}

/** A day of the calendar in ISO 8601; undefined if there is no such day. */
function isoDate(year: number, month: number, day: number): string | undefined {
  if (year < 1_000 || year > 2_999 || month < 1 || day < 1) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.toISOString().slice(0, 10) : undefined;
}
