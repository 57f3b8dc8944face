import { STOP_WORDS } from "./stop-words.ts";

const segmenters = new Map<string, Intl.Segmenter>();

/** A segmenter for a language (null: of no language in particular). They are slow to make, so each is kept. */
export function segmenter(language: string | null, granularity: "word" | "sentence"): Intl.Segmenter {
  const key = `${language ?? ""}/${granularity}`;
  let found = segmenters.get(key);
  if (found === undefined) {
    found = new Intl.Segmenter(language ?? "und", { granularity });
    segmenters.set(key, found);
  }
  return found;
}

/** The words of a text, in order and as they are written; numbers are words too. */
export function wordsOf(text: string, language: string | null): string[] {
  const words: string[] = [];
  for (const part of segmenter(language, "word").segment(text)) if (part.isWordLike) words.push(part.segment);
  return words;
}

/** The words that say what a text is about, brought to a common form: no stop words, no lone letters, no endings. */
export function termsOf(text: string, language: string | null): string[] {
  const terms: string[] = [];
  for (const word of wordsOf(text, language)) {
    const folded = word.normalize("NFKC").toLocaleLowerCase(language ?? "und");
    if (STOP_WORDS.has(folded) || (folded.length < 2 && !CJK.test(folded))) continue;
    terms.push(stemOf(folded));
  }
  return terms;
}

const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const STEM_LETTERS = 6;

/**
 * Cutting long words is the stemmer that needs no language: close to a real one in retrieval tests over many European
 * languages (McNamee and Mayfield, Character N-Gram Tokenization for European Language Text Retrieval, 2004).
 */
function stemOf(word: string): string {
  const accentless = word.normalize("NFD").replaceAll(/\p{M}/gu, "");
  const base = accentless === "" ? word : accentless;
  const singular = /[a-z]{3}s$/.test(base) && !/(?:ss|us|is)$/.test(base) ? base.slice(0, -1) : base;
  return /^\p{L}+$/u.test(singular) ? singular.slice(0, STEM_LETTERS) : singular;
}
