import type { Pace } from "../pace.ts";
import { termsOf, wordsOf } from "../text/words.ts";

export const DIMENSIONS = 512;

/** How much one of each kind says of a text. */
const TERM = 1;
const PAIR = 0.5;
const GRAM = 0.25;
const GRAM_LENGTHS = [3, 4];

/**
 * A vector of length 1 for a text, by feature hashing (Weinberger et al., Feature Hashing for Large Scale Multitask Learning,
 * 2009): of its words without stop words and endings, of pairs of them, and of parts of its words, each counted with the
 * logarithm. Texts with words in common, misspelt or inflected ones too, are near each other; synonyms are not. The same text
 * has the same vector everywhere.
 */
export async function hashingVector(text: string, dimensions: number, pace: Pace): Promise<Float32Array> {
  const vector = new Float32Array(dimensions);
  for (const [feature, { count, weight }] of await featuresOf(text, pace)) {
    const hash = hashOf(feature);
    // One bit says whether to add or to take away, so that features that collide cancel out on average.
    const sign = hash >>> 31 === 1 ? -1 : 1;
    vector[(hash & 0x7fffffff) % dimensions]! += sign * weight * (1 + Math.log(count));
  }
  const length = Math.hypot(...vector);
  // Features may cancel out altogether, and every vector is to have a direction.
  if (length === 0) vector[hashOf(text) % dimensions] = 1;
  else for (let i = 0; i < dimensions; i += 1) vector[i]! /= length;
  return vector;
}

export function countWords(text: string): number {
  return wordsOf(text, null).length;
}

async function featuresOf(text: string, pace: Pace): Promise<Map<string, { count: number; weight: number }>> {
  const features = new Map<string, { count: number; weight: number }>();
  const add = (feature: string, weight: number) => {
    const known = features.get(feature);
    if (known === undefined) features.set(feature, { count: 1, weight });
    else known.count += 1;
  };
  const folded = text.normalize("NFKC").toLowerCase();
  const stems = termsOf(folded, null);
  // A text of nothing but stop words is still a text, and so is one of signs.
  const words = wordsOf(folded, null);
  const terms = stems.length > 0 ? stems : words.length > 0 ? words : [...folded];
  let before: string | undefined;
  for (const term of terms) {
    add(`t ${term}`, TERM);
    if (before !== undefined) add(`p ${before} ${term}`, PAIR);
    before = term;
    const letters = [..."^", ...term, ..."$"];
    for (const length of GRAM_LENGTHS)
      for (let at = 0; at + length <= letters.length; at += 1)
        add(`g ${letters.slice(at, at + length).join("")}`, GRAM);
    await pace();
  }
  return features;
}

/** FNV-1a over the text's UTF-16, then the finaliser of MurmurHash3, without which its high bits are poor. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
