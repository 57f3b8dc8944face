import type { Pace } from "../pace.ts";
import { termsOf } from "./words.ts";

/** A sentence with its place in the list that was ranked and its score, from 0 to 1; the best one has 1. */
export interface Ranked {
  index: number;
  score: number;
}

/** How many of the best are compared with each other, whatever the number of sentences. */
const SHORTLIST = 200;
/** A sentence that scores less than this share of the best one is not worth showing. */
const LEAST_SHARE = 0.2;
/** How much more a word of the title weighs (Edmundson, New Methods in Automatic Extracting, 1969). */
const TITLE_WEIGHT = 2;
/** How much more the first sentence weighs; the second half of that, and so on. */
const LEAD_WEIGHT = 0.5;
/** From this share of the same terms on, a sentence says again what one before it has said. */
const SAME = 0.5;

interface RankingOptions {
  /** ISO 639-1; null if it is not known. */
  language: string | null;
  /** How many sentences at the most. */
  count: number;
  pace: Pace;
}

interface CentroidOptions extends RankingOptions {
  /** What the text is called: its words weigh more. */
  title?: string;
  /** Told how far the work is, from 0 to 1. */
  progress?: (fraction: number) => void;
}

/**
 * The sentences that say most of what all of them say: those that hold most of the centroid of the text's TF-IDF
 * weights (Radev et al., Centroid-based summarization of multiple documents, 2004), less those that repeat a better
 * one. Needs no model of a language; time grows with the text, memory with the number of different words.
 *
 * @returns in the order of the text
 */
export async function rankByCentroid(
  sentences: readonly string[],
  { language, count, pace, progress = () => {}, title = "" }: CentroidOptions,
): Promise<Ranked[]> {
  const corpus = await Corpus.of(sentences, language, pace, (fraction) => progress(fraction / 2));
  const centroid = corpus.centroid(title);
  const scores = await scoreAll(sentences.length, pace, (index) => {
    // What a text begins with says what it is about (Edmundson's location method).
    return corpus.likeness(sentences[index]!, centroid) * (1 + LEAD_WEIGHT / (1 + index));
  });
  progress(1);
  return pick(scores, count, (index) => corpus.termsOf(sentences[index]!));
}

/**
 * The sentences that speak of what a question asks, by BM25 (Robertson and Zaragoza, The Probabilistic Relevance
 * Framework, 2009), less those that repeat a better one. None if no term of the question occurs.
 *
 * @returns in the order of the text
 */
export async function rankByQuestion(
  sentences: readonly string[],
  question: string,
  { language, count, pace }: RankingOptions,
): Promise<Ranked[]> {
  const corpus = await Corpus.of(sentences, language, pace);
  const asked = new Set(corpus.termsOf(question));
  const scores = await scoreAll(sentences.length, pace, (index) => corpus.relevance(sentences[index]!, asked));
  return pick(scores, count, (index) => corpus.termsOf(sentences[index]!));
}

class Corpus {
  readonly #language: string | null;
  readonly #sentencesWith = new Map<string, number>();
  readonly #total = new Map<string, number>();
  #sentences = 0;
  #terms = 0;

  private constructor(language: string | null) {
    this.#language = language;
  }

  static async of(
    sentences: readonly string[],
    language: string | null,
    pace: Pace,
    progress: (fraction: number) => void = () => {},
  ): Promise<Corpus> {
    const corpus = new Corpus(language);
    for (const [index, sentence] of sentences.entries()) {
      corpus.#add(corpus.termsOf(sentence));
      await pace();
      progress((index + 1) / sentences.length);
    }
    return corpus;
  }

  termsOf(sentence: string): string[] {
    return termsOf(sentence, this.#language);
  }

  #add(terms: readonly string[]): void {
    this.#sentences += 1;
    this.#terms += terms.length;
    for (const term of terms) this.#total.set(term, (this.#total.get(term) ?? 0) + 1);
    for (const term of new Set(terms)) this.#sentencesWith.set(term, (this.#sentencesWith.get(term) ?? 0) + 1);
  }

  /** How telling a term is: the rarer, the more. */
  #idf(term: string): number {
    return Math.log(1 + this.#sentences / (this.#sentencesWith.get(term) ?? 0.5));
  }

  /** The weight of every term in the whole text. One that occurs once says nothing of the whole. */
  centroid(title: string): Map<string, number> {
    const centroid = new Map<string, number>();
    const emphasised = new Set(this.termsOf(title));
    const repeats = [...this.#total.values()].some((total) => total > 1);
    for (const [term, total] of this.#total) {
      const weight = Math.sqrt(total) * this.#idf(term);
      if (emphasised.has(term)) centroid.set(term, weight * TITLE_WEIGHT);
      else if (total > 1 || !repeats) centroid.set(term, weight);
    }
    return centroid;
  }

  /** How much of the centroid a sentence holds, for its length; short ones are held back, for they hit by one word. */
  likeness(sentence: string, centroid: ReadonlyMap<string, number>): number {
    const terms = new Set(this.termsOf(sentence));
    if (terms.size === 0) return 0;
    let held = 0;
    for (const term of terms) held += centroid.get(term) ?? 0;
    return (held / Math.sqrt(terms.size)) * Math.min(1, terms.size / 6);
  }

  relevance(sentence: string, asked: ReadonlySet<string>): number {
    const terms = this.termsOf(sentence);
    const mean = this.#terms / this.#sentences;
    const length = 1 - 0.5 + (0.5 * terms.length) / mean;
    let score = 0;
    for (const term of asked) {
      const frequency = terms.filter((each) => each === term).length;
      if (frequency > 0) score += (this.#idf(term) * frequency * 2.2) / (frequency + 1.2 * length);
    }
    return score;
  }
}

async function scoreAll(count: number, pace: Pace, score: (index: number) => number): Promise<Float64Array> {
  const scores = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    scores[index] = score(index);
    await pace();
  }
  return scores;
}

/** The best, best first, each only if it is no repetition; then put back into the order of the text. */
function pick(scores: Float64Array, count: number, termsAt: (index: number) => string[]): Ranked[] {
  const best = scores.reduce((most, score) => Math.max(most, score), 0);
  const order = [...scores.keys()]
    .filter((index) => scores[index]! > LEAST_SHARE * best)
    .sort((a, b) => scores[b]! - scores[a]! || a - b);
  const taken: { index: number; terms: Set<string> }[] = [];
  for (const index of order.slice(0, SHORTLIST)) {
    if (taken.length === count) break;
    const terms = new Set(termsAt(index));
    if (taken.every((other) => overlap(terms, other.terms) < SAME)) taken.push({ index, terms });
  }
  return taken
    .map(({ index }) => ({ index, score: Math.round((scores[index]! / best) * 1_000) / 1_000 }))
    .sort((a, b) => a.index - b.index);
}

/** Shared terms over all terms of both (Jaccard). */
function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const term of a) if (b.has(term)) shared += 1;
  return shared / (a.size + b.size - shared || 1);
}
