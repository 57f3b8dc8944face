import type { StepContext } from "../../../engine/index.ts";
import { pacer } from "../../pace.ts";
import { detectLanguage, sampleOf } from "../../text/language.ts";
import { withoutRunningLines } from "../../text/running-lines.ts";
import { sentencesOf } from "../../text/sentences.ts";
import { wordsOf } from "../../text/words.ts";
import { readRecords, storeRecords } from "../records.ts";
import type { Extracted, PageText, Segmented, Sentence } from "../shapes.ts";

/** Finds the document's language and parts its text into sentences, without headers, footers and page numbers. */
export default async function segment(input: Extracted, ctx: StepContext): Promise<Segmented> {
  const pace = pacer(ctx.signal);
  const pages = await readRecords<PageText>(ctx, input.pages.document);
  await pace();
  const texts = withoutRunningLines(pages.map((page) => page.text));
  const language = detectLanguage(sampleOf(texts));
  let wordCount = 0;
  let sentenceCount = 0;
  async function* sentences(): AsyncGenerator<Sentence> {
    for (const [index, { page }] of pages.entries()) {
      for (const text of sentencesOf(texts[index]!, language)) {
        wordCount += wordsOf(text, language).length;
        sentenceCount += 1;
        yield { page, text };
        await pace();
      }
      ctx.progress((index + 1) / pages.length, `page ${index + 1} of ${pages.length}`);
      await pace();
    }
  }
  const document = await storeRecords(ctx, `${input.document.name}.sentences.json`, sentences());
  return { ...input, language, wordCount, sentenceCount, sentences: { document } };
}
