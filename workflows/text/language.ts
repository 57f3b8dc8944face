import { detectAll } from "tinyld";

/** Enough for the n-grams to settle; more only takes time. */
const SAMPLE_CHARACTERS = 20_000;
const FEWEST_LETTERS = 10;
const LEAST_ACCURACY = 0.1;

/** The scripts that languages are told apart by first. East Asian ones count as one: Japanese mixes them. */
const SCRIPTS = [
  /\p{Script=Latin}/gu,
  /\p{Script=Cyrillic}/gu,
  /\p{Script=Greek}/gu,
  /\p{Script=Arabic}/gu,
  /\p{Script=Hebrew}/gu,
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu,
  /\p{Script=Devanagari}/gu,
  /\p{Script=Bengali}/gu,
  /\p{Script=Thai}/gu,
  /\p{Script=Armenian}/gu,
] as const;

/** A sample of texts, spread over all of them so that a foreign preface does not decide for a book. */
export function sampleOf(texts: readonly string[]): string {
  const share = Math.max(200, Math.floor(SAMPLE_CHARACTERS / Math.max(1, texts.length)));
  const stride = Math.max(1, Math.ceil((texts.length * share) / SAMPLE_CHARACTERS));
  const parts: string[] = [];
  for (let index = 0; index < texts.length; index += stride) parts.push(texts[index]!.slice(0, share));
  return parts.join("\n").slice(0, SAMPLE_CHARACTERS);
}

/**
 * The language of a text as an ISO 639-1 code; null where there is too little text to say.
 *
 * Only letters of the most frequent script are looked at: formulas are full of Greek ones, and broken fonts yield
 * letters of any script.
 */
export function detectLanguage(text: string): string | null {
  const sample = text.slice(0, SAMPLE_CHARACTERS);
  const counts = SCRIPTS.map((script) => sample.match(script)?.length ?? 0);
  const letters = Math.max(...counts);
  if (letters < FEWEST_LETTERS) return null;
  const others = SCRIPTS.filter((_, index) => index !== counts.indexOf(letters));
  const own = others.reduce((rest, script) => rest.replaceAll(script, " "), sample);
  // Languages without a code of two letters are guessed for odd texts far more often than they are written.
  const best = detectAll(own).find(({ lang }) => lang.length === 2);
  return best === undefined || best.accuracy < LEAST_ACCURACY ? null : best.lang;
}
