import type { StepContext } from "../../../engine/index.ts";
import type { Analysed, Analysis } from "../shapes.ts";

/** The engine keeps outputs up to 32 KB with the run; a report that stays below is there at once for all who ask. */
const REPORT_BYTES = 30 * 1024;

/** Puts the result together, and deletes what only the steps before needed. */
export default async function report(input: Analysed, ctx: StepContext): Promise<Analysis> {
  const result: Analysis = {
    document: input.document,
    title: input.title,
    pageCount: input.pageCount,
    language: input.language,
    textFound: input.textFound,
    wordCount: input.wordCount,
    sentenceCount: input.sentenceCount,
    keySentences: [...input.keySentences],
    dates: [...input.dates],
    amounts: [...input.amounts],
    totals: input.totals,
    pages: input.pages,
    warnings: input.warnings,
  };
  while (bytesOf(result) > REPORT_BYTES && shorten(result));
  await ctx.blobs.delete(ctx.run.tenant, input.sentences.document.id);
  ctx.progress(1);
  return result;
}

function bytesOf(result: Analysis): number {
  return new TextEncoder().encode(JSON.stringify(result)).byteLength;
}

/** Takes the last tenth from the longer list of the found ones; the totals still tell. False if nothing is left. */
function shorten({ dates, amounts, keySentences }: Analysis): boolean {
  const list = [dates, amounts, keySentences].reduce((a, b) => (b.length > a.length ? b : a));
  return list.splice(Math.floor(list.length * 0.9)).length > 0;
}
