import { wordsOf } from "./words.ts";

const FEWEST_WORDS = 4;
const SHORTEST = 20;
const LONGEST = 350;
const LIST_MARK = /^\s*(?:[•▪◦‣·*–—-]\s+|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[).]\s+)+/i;
const ENDS = /[.!?…。！？؟।](?:["'”“»›)\]]|\s)*$/u;
const STARTS = /^["'“„«‹¿¡([]*[^\p{Ll}\p{P}\p{S}\s]/u;
const LEADERS = /(?:\.\s?){4,}|…{2,}|_{4,}/u;
/** Sentences that send the reader elsewhere say little by themselves. */
const ADDRESS = /\S@\S|:\/\/|\bwww\./i;
/** What formulas and program code are made of, and prose seldom. */
const SYMBOLS = /[\p{Sm}_*{}\\#@^§]/gu;

/**
 * A sentence as it may be quoted alone, without the mark of a list before it; undefined if it is no prose: not whole,
 * not of a quotable length, or mostly something else than words. Headings, lines of a table of contents, formulas, code
 * and the halves of sentences that a page break parted are none.
 */
export function quotable(sentence: string, language: string | null): string | undefined {
  if (sentence.length > LONGEST) return undefined;
  const text = sentence.replace(LIST_MARK, "").trim();
  if (!ENDS.test(text) || !STARTS.test(text) || LEADERS.test(text) || ADDRESS.test(text)) return undefined;
  if ((text.match(SYMBOLS)?.length ?? 0) > 1) return undefined;
  const letters = shareOf(/[\p{L}\p{M}\s]/gu, text);
  if (!/[\p{Lu}\p{Ll}]/u.test(text)) return text.length >= 2 * FEWEST_WORDS && letters > 0.6 ? text : undefined;
  if (text.length < SHORTEST || letters < 0.85) return undefined;
  const words = wordsOf(text, language);
  const real = words.filter((word) => word.length > 1 && /^\p{L}/u.test(word)).length;
  return real >= FEWEST_WORDS && real / words.length >= 0.75 ? text : undefined;
}

function shareOf(what: RegExp, text: string): number {
  return (text.match(what)?.length ?? 0) / text.length;
}
