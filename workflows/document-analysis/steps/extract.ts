import { FatalError, readBlob, type StepContext } from "../../../engine/index.ts";
import { type Pace, pacer } from "../../pace.ts";
import { LIMITS } from "../limits.ts";
import { readPdf } from "../pdf/process/reader.ts";
import { decodeText, pagesOfText, plainMarkdown } from "../plain-text.ts";
import { storeRecords } from "../records.ts";
import type { Extracted, Identified, PageText } from "../shapes.ts";
import { firstHeading, nameAsTitle, statedTitle } from "../title.ts";

/**
 * Takes the text out of the document, page by page, into a blob.
 *
 * @throws FatalError `document_encrypted`, `document_damaged`, `too_many_pages`, `page_too_long`, `text_too_long`,
 * `too_much_memory`, `too_much_time`
 */
export default async function extract(input: Identified, ctx: StepContext): Promise<Extracted> {
  const pace = pacer(ctx.signal);
  return input.format === "pdf" ? fromPdf(input, ctx, pace) : fromText(input, ctx, pace);
}

async function fromPdf(input: Identified, ctx: StepContext, pace: Pace): Promise<Extracted> {
  const { body } = await ctx.blobs.open(ctx.run.tenant, input.document.id);
  const pdf = await readPdf(body, input.document.size, ctx.signal);
  try {
    let heading: string | undefined;
    async function* pages(): AsyncGenerator<PageText> {
      for await (const { page, text, heading: found } of pdf.pages()) {
        heading ??= found;
        yield { page, text };
      }
    }
    const stored = await storePages(pages(), pdf.pageCount, input, ctx, pace);
    return {
      title: statedTitle(pdf.title) ?? heading ?? nameAsTitle(input.document.name),
      pageCount: pdf.pageCount,
      ...stored,
      warnings: [...pdf.warnings, ...(stored.textFound ? [] : [PICTURES_ONLY])],
      document: input.document,
    };
  } finally {
    await pdf.close();
  }
}

async function fromText(input: Identified, ctx: StepContext, pace: Pace): Promise<Extracted> {
  const bytes = await readBlob(ctx.blobs, ctx.run.tenant, input.document.id);
  const { text: decoded, warning } = decodeText(bytes);
  const { text, title } =
    input.format === "markdown" ? await plainMarkdown(decoded, pace) : { text: decoded, title: undefined };
  const texts = pagesOfText(text);
  async function* pages(): AsyncGenerator<PageText> {
    for (const [index, each] of texts.entries()) yield { page: index + 1, text: each };
  }
  const stored = await storePages(pages(), texts.length, input, ctx, pace);
  return {
    title: title ?? firstHeading(texts[0]!.split("\n", 20)) ?? nameAsTitle(input.document.name),
    pageCount: texts.length,
    ...stored,
    warnings: [
      ...(warning === undefined ? [] : [warning]),
      ...(stored.textFound ? [] : ["The document holds no words."]),
    ],
    document: input.document,
  };
}

const PICTURES_ONLY =
  "No text was found: the document holds pictures only. It would have to be read by optical character recognition first.";

async function storePages(
  pages: AsyncGenerator<PageText>,
  pageCount: number,
  input: Identified,
  ctx: StepContext,
  pace: Pace,
): Promise<Pick<Extracted, "pages" | "textFound">> {
  let textFound = false;
  async function* counted(): AsyncGenerator<PageText> {
    let characters = 0;
    for await (const page of pages) {
      characters += page.text.length;
      if (characters > LIMITS.characters)
        throw new FatalError(`The document has more than ${LIMITS.characters} characters of text.`, {
          code: "text_too_long",
        });
      textFound ||= /[\p{L}\p{N}]/u.test(page.text);
      yield page;
      ctx.progress(page.page / pageCount, `page ${page.page} of ${pageCount}`);
      await pace();
    }
  }
  const document = await storeRecords(ctx, `${input.document.name}.pages.json`, counted());
  return { pages: { document }, textFound };
}
