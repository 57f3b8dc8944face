import type { StepContext } from "../../engine/index.ts";
import { type Pace, pacer } from "../pace.ts";
import { quotable } from "../text/prose.ts";
import { rankByCentroid, rankByQuestion } from "../text/ranking.ts";
import { wordsOf } from "../text/words.ts";
import { askedOf } from "./conversation.ts";
import { EXTRACTIVE_MODEL } from "./models.ts";
import { type Task, taskOf } from "./task.ts";
import type { InferenceInput, InferenceOutput } from "./workflow.ts";

const MOST_ANSWERS = 3;
/** A sentence that fits a question half as well as the best one is no answer to it. */
const FITS = 0.5;
const MOST_SUMMARY = 5;
const SUMMARY_IN = 4;
const WORDS_PER_CHUNK = 8;

const NEEDS_TEXT =
  "This embedded model can only extract from text that you give it, and there is none in this prompt. " +
  "Send the text together with the question, or configure a model server with OPENAI_BASE_URL.";
const NOT_FOUND =
  "The text that came with this prompt does not speak of that, and this embedded model can only extract from it.";

/**
 * Answers from the prompt's own text: a question by the sentences that speak of it, anything else by a summary of its
 * most telling sentences. It writes nothing of its own and knows nothing; where there is no text it says so. Its
 * tokens are words.
 */
export async function extractiveAnswer(input: InferenceInput, ctx: StepContext): Promise<InferenceOutput> {
  const pace = pacer(ctx.signal);
  const { prompt, system } = askedOf(input);
  const task = taskOf(prompt, system);
  const answer = upTo((await answerTo(task, pace)).join(" "), input.stop);
  const most = input.max_tokens ?? Number.POSITIVE_INFINITY;
  let text = "";
  let outputTokens = 0;
  let chunk = "";
  for (const word of answer.split(/(?<=\s)(?=\S)/)) {
    if (outputTokens === most) break;
    chunk += word;
    outputTokens += 1;
    if (outputTokens % WORDS_PER_CHUNK !== 0) continue;
    text += chunk;
    ctx.emit(chunk);
    chunk = "";
    await pace();
  }
  if (chunk !== "") ctx.emit(chunk);
  text += chunk;
  const inputTokens = wordsOf(prompt, task.language).length + wordsOf(system, task.language).length;
  const finishReason = text.length < answer.length ? "length" : "stop";
  return { text, model: EXTRACTIVE_MODEL, usage: { inputTokens, outputTokens }, finishReason };
}

/** An answer as far as the first of the texts that end it. */
function upTo(answer: string, stop: readonly string[] = []): string {
  const ends = stop.map((each) => answer.indexOf(each)).filter((at) => at >= 0);
  return answer.slice(0, Math.min(answer.length, ...ends));
}

async function answerTo({ question, sentences, background, language }: Task, pace: Pace): Promise<string[]> {
  if (question !== undefined) {
    const searched = [...sentences, ...background];
    const ranked = await rankByQuestion(searched, question, { language, count: MOST_ANSWERS, pace });
    const fitting = ranked.filter(({ score }) => score >= FITS).map(({ index }) => searched[index]!);
    if (fitting.length > 0) return fitting;
    return [sentences.length === 0 ? NEEDS_TEXT : NOT_FOUND];
  }
  if (sentences.length < 2) return [NEEDS_TEXT];
  const prose = sentences.flatMap((sentence) => quotable(sentence, language) ?? []);
  const candidates = prose.length > 0 ? prose : sentences;
  const count = Math.min(MOST_SUMMARY, Math.ceil(candidates.length / SUMMARY_IN));
  const ranked = await rankByCentroid(candidates, { language, count, pace });
  return ranked.map(({ index }) => candidates[index]!);
}
