/** An amount of money, as a text has it. */
export interface Amount {
  text: string;
  value: number;
  /** ISO 4217. */
  currency: string;
}

/** Signs and codes, which stand before a number or after it. A lone $ or ¥ is the one that is meant most often. */
const SIGNS: Readonly<Record<string, string>> = {
  USD: "US\\$|USD|\\$",
  CAD: "CA?\\$",
  AUD: "AU?\\$|AUD",
  NZD: "NZ\\$|NZD",
  HKD: "HK\\$|HKD",
  SGD: "S\\$|SGD",
  BRL: "R\\$|BRL",
  EUR: "€|EUR",
  GBP: "£|GBP",
  CHF: "CHF|SFr\\.?",
  JPY: "¥|￥|JPY",
  CNY: "CNY|RMB",
  INR: "₹|INR|Rs\\.?",
  KRW: "₩|KRW",
  RUB: "₽|RUB",
  TRY: "₺",
  PLN: "zł|PLN",
  CZK: "Kč|CZK",
  SEK: "SEK",
  NOK: "NOK",
  DKK: "DKK",
  HUF: "HUF",
};
/** Words, which stand after a number only: "Euro 2024" is no amount. Pounds without "sterling" may be a weight. */
const WORDS: Readonly<Record<string, string>> = {
  USD: "(?:US[- ])?[Dd]ollars?|US-Dollar|dólares",
  EUR: "[Ee]uros?",
  GBP: "[Pp]ounds? [Ss]terling|Pfund Sterling|livres sterling",
  CHF: "(?:Schweizer )?Franken|[Ss]wiss [Ff]rancs?|francs? suisses?",
  JPY: "[Yy]en",
  CNY: "[Yy]uan",
  INR: "[Rr]upees?",
};
const MULTIPLIERS: readonly [pattern: RegExp, factor: number][] = [
  [/^(?:thousand|tausend|tsd\.?|mille|mil|k|T)$/i, 1e3],
  [/^(?:millions?|millionen|mio\.?|mn|mln|millones|millón|milhões|M|m)$/i, 1e6],
  [/^(?:milliarden?|mrd\.?|mia\.?|milliards?|mil millones|bn|B)$/i, 1e9],
  [/^(?:billionen|bio\.?|trillions?|tn)$/i, 1e12],
];
const MULTIPLIER =
  "(?:[Mm]illion(?:en|s)?|[Bb]illion(?:en|s)?|[Tt]rillions?|[Tt]housand|[Tt]ausend|Tsd\\.?|Mio\\.?|Mrd\\.?|Mia\\.?|Bio\\.?|" +
  "[Mm]illiarden?|milliards?|mil millones|millones|millón|milhões|mille|mil|mln|mn|bn|tn|[kKMmB]|T(?=€|EUR))(?![\\p{L}\\p{N}])";
/** Languages that write a point before the decimals. */
const DECIMAL_POINT = new Set(["en", "zh", "ja", "ko", "th", "he", "hi", "bn"]);

const SPACE = "[ \\t\\u00a0\\u2009\\u202f]";
const number = (name: string) =>
  `(?<${name}>\\d{1,3}(?<${name}_>[ \\u00a0\\u2009\\u202f.,'’])\\d{3}(?:\\k<${name}_>\\d{3}){0,4}(?:(?!\\k<${name}_>)[.,]\\d{1,2})?(?!\\d)|\\d{1,15}(?:[.,]\\d{1,3})?(?![\\d]))(?:[.,](?:--?|[–—])(?!\\d))?`;
const signs = Object.values(SIGNS).join("|");
const words = Object.values(WORDS).join("|");
const multiplier = `(?:${SPACE}?(?<multiplier>${MULTIPLIER}|[kMT](?=€|EUR))(?:${SPACE}d(?:e |['’])(?=\\p{L}))?)?`;

const BEFORE = new RegExp(
  `(?<![\\p{L}\\p{N}$€£.])(?<minus>[-−–])?(?<currency>${signs})${SPACE}?(?<minus2>[-−–])?${number("low")}(?:[-–](?:${signs})?${number("high")})?${multiplier}(?![\\p{L}\\p{N}]|[.,]\\d)`,
  "gu",
);
const AFTER = new RegExp(
  `(?<![\\p{L}\\p{N}$€£]|\\d[.,’']|[\\p{L}\\p{N}][-–])(?<minus>[-−–])?${number("low")}(?:(?:[-–]|${SPACE}(?:to|bis|à|-|–)${SPACE})${number("high")})?${multiplier}${SPACE}?(?<currency>${signs}|${words})(?![\\p{L}\\p{N}])`,
  "gu",
);

/**
 * The amounts of money in a text, in the notations of English, German, French and their neighbours: `$1,234.56`,
 * `1.234,56 €`, `EUR 20`, `CHF 1'234.50`, `£5 million`, `3,5 Mrd. Euro`. A span, `€5–10 million`, gives both its ends.
 *
 * @param language ISO 639-1: decides `1.234 million` and what a billion is
 */
export function amountsIn(text: string, language: string | null): Amount[] {
  if (!/\d/.test(text)) return [];
  const found: { at: number; end: number; amounts: Amount[] }[] = [];
  for (const pattern of [BEFORE, AFTER])
    for (const match of text.matchAll(pattern)) {
      const [at, end] = [match.index, match.index + match[0].length];
      if (found.every((other) => end <= other.at || at >= other.end))
        found.push({ at, end, amounts: amountsOf(match, language) });
    }
  return found.sort((a, b) => a.at - b.at).flatMap(({ amounts }) => amounts);
}

function amountsOf(match: RegExpMatchArray, language: string | null): Amount[] {
  const { currency: sign = "", low = "", high, multiplier, minus, minus2 } = match.groups!;
  const currency = currencyOf(sign);
  const factor = factorOf(multiplier, language);
  const negative = high === undefined && (minus ?? minus2) !== undefined;
  return [low, high].flatMap((digits) => {
    if (digits === undefined) return [];
    const value = numberOf(digits, multiplier !== undefined, language) * factor * (negative ? -1 : 1);
    // 3.3 × 1,000,000 is not 3,300,000.0000000005.
    return [{ text: match[0].trim(), value: Number(value.toPrecision(15)), currency }];
  });
}

function currencyOf(sign: string): string {
  for (const names of [SIGNS, WORDS])
    for (const [code, pattern] of Object.entries(names)) if (new RegExp(`^(?:${pattern})$`).test(sign)) return code;
  throw new RangeError(`No currency is called ${sign}.`);
}

function factorOf(multiplier: string | undefined, language: string | null): number {
  if (multiplier === undefined) return 1;
  // A thousand million to English, a million million to the rest of Europe.
  if (/^billions?$/i.test(multiplier)) return language === "de" || language === "fr" ? 1e12 : 1e9;
  return MULTIPLIERS.find(([pattern]) => pattern.test(multiplier))?.[1] ?? 1;
}

/** Reads `1.234,56`, `1,234.56`, `1'234.50`, `1 234,5`: the mark that comes last parts the decimals, if two at most follow. */
function numberOf(digits: string, multiplied: boolean, language: string | null): number {
  const plain = digits.replaceAll(/[^\d.,]/g, "");
  const last = Math.max(plain.lastIndexOf("."), plain.lastIndexOf(","));
  if (last === -1) return Number(plain);
  const mark = plain[last]!;
  const once = plain.indexOf(mark) === last;
  const other = mark === "." ? "," : ".";
  const three = plain.length - last - 1 === 3;
  const decimalMark = DECIMAL_POINT.has(language ?? "en") ? "." : ",";
  const decimal =
    once && (!three || plain.includes(other) || plain.startsWith("0") || (multiplied && mark === decimalMark));
  const whole = (decimal ? plain.slice(0, last) : plain).replaceAll(/[.,]/g, "");
  return Number(decimal ? `${whole}.${plain.slice(last + 1)}` : whole);
}
