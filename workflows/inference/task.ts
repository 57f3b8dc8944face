import { detectLanguage } from "../text/language.ts";
import { sentencesOf } from "../text/sentences.ts";
import { wordsOf } from "../text/words.ts";

/** A prompt, taken apart into what it asks and the text that it asks about. */
export interface Task {
  /** Undefined if the prompt is nothing but text, or asks for a summary of it. */
  question: string | undefined;
  sentences: string[];
  /** Sentences of the system prompt: searched for an answer, but never summarised. */
  background: string[];
  language: string | null;
}

const FEWEST_WORDS = 3;
const LABEL =
  /^\s*(?:question|frage|pregunta|q|instruction|task|aufgabe|text|context|kontext|contexte|document|dokument|article|artikel|passage|input)\s*:\s*/i;
const ASKS = /[?？؟]["'”»)]*\s*$/;
const SUMMARY =
  /\b(?:summari[sz]e|summary|sum up|tl;?dr|key points|main points|gist|zusammenfass\p{L}*|fasse?\b.*\bzusammen|kernaussagen|résum\p{L}*|resum\p{L}*|riassum\p{L}*|samenvat\p{L}*)/iu;
/** How an instruction begins; a sentence of a text seldom does. */
const ORDER =
  /^(?:please\s+|bitte\s+)?(?:summari[sz]e|sum up|give|list|extract|find|name|describe|explain|tell|answer|show|identify|quote|nenne|liste|finde|beschreibe|erkläre|sag|zeige|beantworte|fasse|extrahiere|résume[rz]?|cite[rz]?|liste[rz]?|trouve[rz]?|explique[rz]?|resume|explica|enumera|riassumi)(?![\p{L}\p{N}])/iu;

/** Takes a prompt apart. The question or instruction is looked for where people put it: first, or last. */
export function taskOf(prompt: string, system = ""): Task {
  const language = detectLanguage(prompt) ?? detectLanguage(system);
  const pieces = piecesOf(prompt, language);
  const at = [pieces.length - 1, 0].find((index) => pieces[index] !== undefined && isAsk(pieces[index]));
  const ask = at === undefined ? undefined : pieces[at]!.replace(LABEL, "");
  const enough = (sentence: string) => wordsOf(sentence, language).length >= FEWEST_WORDS;
  return {
    question: ask === undefined || SUMMARY.test(ask) ? undefined : ask,
    sentences: pieces
      .filter((_, index) => index !== at)
      .map((sentence) => sentence.replace(LABEL, ""))
      .filter(enough),
    background: [...sentencesOf(system, language)].filter((sentence) => enough(sentence) && !ASKS.test(sentence)),
    language,
  };
}

/** The sentences of a prompt; a line that ends with a colon introduces the next one and is a piece of its own. */
function piecesOf(prompt: string, language: string | null): string[] {
  const parted = prompt.replaceAll(/([:?？؟])[ \t]*\r?\n/g, "$1\n\n").replaceAll("\r\n", "\n");
  return [...sentencesOf(parted, language)].flatMap((sentence) => {
    const colon = /^([^:]{3,200}:)\s+(\S.*)$/s.exec(sentence);
    return colon !== null && isAsk(colon[1]!) && !LABEL.test(colon[1]!) ? [colon[1]!, colon[2]!] : [sentence];
  });
}

/** Whether a sentence asks for something, or introduces what does. */
export function isAsk(sentence: string): boolean {
  const plain = sentence.replace(LABEL, "");
  return (
    ASKS.test(plain) ||
    ORDER.test(plain) ||
    (plain.endsWith(":") && plain.length <= 200) ||
    (plain.length <= 100 && SUMMARY.test(plain))
  );
}
