import type { StepContext } from "../../../engine/index.ts";
import { type Pace, pacer } from "../../pace.ts";
import { quotable } from "../../text/prose.ts";
import { rankByCentroid } from "../../text/ranking.ts";
import { amountsIn } from "../findings/amounts.ts";
import { datesIn, writesDayFirst } from "../findings/dates.ts";
import { readRecords } from "../records.ts";
import type { Analysed, Findings, FoundAmount, FoundDate, KeySentence, Segmented, Sentence } from "../shapes.ts";

const MOST_KEY_SENTENCES = 20;
const FEWEST_KEY_SENTENCES = 3;
/** One sentence in so many is a key sentence, in documents between the two limits. */
const KEY_SENTENCE_IN = 5;
const MOST_FOUND = 100;

/** Finds the sentences that say most, and the dates and amounts. */
export default async function analyse(input: Segmented, ctx: StepContext): Promise<Analysed> {
  const pace = pacer(ctx.signal);
  const sentences = await readRecords<Sentence>(ctx, input.sentences.document);
  const found = await findIn(sentences, input.language, pace, (done) => ctx.progress(done / 2, "dates and amounts"));
  const keySentences = await keySentencesOf(sentences, input, pace, (done) =>
    ctx.progress(0.5 + done / 2, "key sentences"),
  );
  ctx.progress(1);
  return { ...input, keySentences, ...found };
}

async function findIn(
  sentences: readonly Sentence[],
  language: string | null,
  pace: Pace,
  progress: (fraction: number) => void,
): Promise<Pick<Findings, "dates" | "amounts" | "totals">> {
  const dayFirst = writesDayFirst(
    sentences.map(({ text }) => text),
    language,
  );
  const dates: FoundDate[] = [];
  const amounts: FoundAmount[] = [];
  const totals = { dates: 0, amounts: 0 };
  for (const [index, { page, text }] of sentences.entries()) {
    for (const date of datesIn(text, language, dayFirst))
      if (++totals.dates <= MOST_FOUND) dates.push({ ...date, page });
    for (const amount of amountsIn(text, language))
      if (++totals.amounts <= MOST_FOUND) amounts.push({ ...amount, page });
    await pace();
    progress((index + 1) / sentences.length);
  }
  return { dates, amounts, totals };
}

async function keySentencesOf(
  sentences: readonly Sentence[],
  { language, title }: Segmented,
  pace: Pace,
  progress: (fraction: number) => void,
): Promise<KeySentence[]> {
  const candidates: Sentence[] = [];
  for (const { page, text } of sentences) {
    const quote = quotable(text, language);
    if (quote !== undefined) candidates.push({ page, text: quote });
    await pace();
  }
  const wanted = Math.max(FEWEST_KEY_SENTENCES, Math.ceil(candidates.length / KEY_SENTENCE_IN));
  const ranked = await rankByCentroid(
    candidates.map(({ text }) => text),
    { language, count: Math.min(MOST_KEY_SENTENCES, wanted), title, pace, progress },
  );
  return ranked.map(({ index, score }) => ({ ...candidates[index]!, score }));
}
