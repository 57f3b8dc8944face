import { segmenter } from "./words.ts";

/** No sentence is longer; what is (tables, lists without a full stop) is cut at a space. In characters. */
export const SENTENCE_CHARACTERS = 2_000;

/** A paragraph that goes on for longer is taken in pieces, so that no text makes the work grow faster than itself. */
const PARAGRAPH_CHARACTERS = 20_000;

const BULLET = /^\s*(?:[•▪◦‣·*–—-]\s|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})\)\s|\d{1,3}\.\s)/i;
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

/**
 * The sentences of a text. Blank lines and list items part them; other line breaks are those of the page, and words
 * that were hyphenated there are put together again.
 */
export function* sentencesOf(text: string, language: string | null): Generator<string> {
  for (const paragraph of paragraphsOf(text)) yield* sentencesOfParagraph(paragraph, language);
}

/** The paragraphs of a text, each as one line. */
function* paragraphsOf(text: string): Generator<string> {
  let lines: string[] = [];
  let length = 0;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (lines.length > 0 && (line === "" || length > PARAGRAPH_CHARACTERS || BULLET.test(line))) {
      yield lines.join("");
      [lines, length] = [[], 0];
    }
    if (line === "") continue;
    if (lines.length > 0) lines.push(joined(lines.pop()!, line));
    lines.push(line);
    length += line.length;
  }
  if (lines.length > 0) yield lines.join("");
}

/** A line as it stands before the next one in running text: with a space after it, or without its hyphen. */
function joined(line: string, next: string): string {
  if (line.endsWith("\u00ad")) return line.slice(0, -1);
  const end = line.slice(-2);
  // "unterschiedli-" + "chem" is one word; "Schwarz-" + "Weiß" and "E-" + "Mail" keep their hyphen.
  if (/^\p{L}[-‐]$/u.test(end)) return /^\p{Ll}/u.test(end) && /^\p{Ll}/u.test(next) ? line.slice(0, -1) : line;
  return CJK.test(end.slice(-1)) && CJK.test(next.slice(0, 1)) ? line : `${line} `;
}

function* sentencesOfParagraph(paragraph: string, language: string | null): Generator<string> {
  let sentence = "";
  for (const { segment } of segmenter(language, "sentence").segment(paragraph)) {
    sentence += segment;
    if (sentence.length < SENTENCE_CHARACTERS && endsInAbbreviation(sentence, language)) continue;
    yield* cut(sentence.trim());
    sentence = "";
  }
  yield* cut(sentence.trim());
}

function* cut(sentence: string): Generator<string> {
  let rest = sentence;
  while (rest.length > SENTENCE_CHARACTERS) {
    const space = rest.lastIndexOf(" ", SENTENCE_CHARACTERS);
    const end = space > SENTENCE_CHARACTERS / 2 ? space : SENTENCE_CHARACTERS;
    yield rest.slice(0, end).trim();
    rest = rest.slice(end).trim();
  }
  if (rest !== "") yield rest;
}

const ABBREVIATIONS = new Set(
  (
    "mr mrs ms dr prof st jr sr dipl ing hr fr herr co corp inc ltd no nr nos vol pp pg fig figs eq eqs sec ch cf vs viz al etc approx dept est " +
    "abb tab kap abschn vgl bzw ca evtl ggf inkl zzgl bspw sog usw art abs ziff bd hrsg aufl str tel jan feb mär mar apr jun jul aug sep sept okt oct nov dez dec " +
    "m mme mlle av env p ex chap réf sra sres dna núm pág sig sigg dott"
  ).split(" "),
);

/** How much of a text's end tells whether a full stop ends a sentence. */
const TAIL_CHARACTERS = 60;

/** Languages that write ordinals with a full stop: "am 31. Dezember". */
const ORDINAL_STOP = new Set([
  "de",
  "da",
  "nb",
  "nn",
  "no",
  "fi",
  "cs",
  "sk",
  "hu",
  "pl",
  "hr",
  "sr",
  "sl",
  "et",
  "is",
]);

/**
 * Whether the full stop at the end belongs to an abbreviation, an initial or an ordinal, so that the sentence goes on.
 * The segmenter does not know: the Unicode rules (UAX 29) leave it to a dictionary.
 */
function endsInAbbreviation(text: string, language: string | null): boolean {
  const tail = text.slice(-TAIL_CHARACTERS);
  const match = /(?:^|[\s(„"“])((?:\p{L}\.\s?)*)([\p{L}\p{N}]+)\.\s*$/u.exec(tail);
  if (match === null) return false;
  const [, initials = "", word = ""] = match;
  // A number at the start counts what follows: "1. Dies gilt immer."
  if (/^\d{1,2}$/.test(word)) return text.length < 5 || ORDINAL_STOP.has(language ?? "");
  if (/^\p{L}$/u.test(word)) return initials !== "" || /^\p{Ll}$/u.test(word) || isInitial(tail);
  return ABBREVIATIONS.has(word.toLowerCase());
}

/** "R. Stöcker" and "John F. Kennedy", but not "offene Teilmengen von X." */
function isInitial(tail: string): boolean {
  const before = /(\S+)\s+\p{Lu}\.\s*$/u.exec(tail);
  return before === null || /^[\p{Lu}(]/u.test(before[1]!);
}
