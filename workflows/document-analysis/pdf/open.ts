import { getResolvedPDFJS } from "unpdf";
import type { PDFDocumentProxy, PDFPageProxy } from "unpdf/pdfjs";
import { LIMITS } from "../limits.ts";
import { type Line, linesOf, type TextItem } from "./lines.ts";
import { damaged, Refusal } from "./refusal.ts";
import { structureOf } from "./structure.ts";

export interface Pdf {
  pageCount: number;
  /** From the document's own properties; undefined if it has none. */
  title: string | undefined;
  warnings: string[];
  /** The lines of a page, 1 to `pageCount`. @throws Refusal `document_damaged`, `page_too_long` */
  lines(page: number): Promise<Line[]>;
}

/**
 * Opens a PDF, whose bytes belong to the parser from now on. A PDF can be made to take any time and any memory: to be
 * called in a process that is watched, and whose end frees what the parser holds.
 *
 * @throws Refusal `document_damaged`, `document_encrypted`, `too_many_pages`
 */
export async function openPdf(bytes: Uint8Array): Promise<Pdf> {
  const { damaged: reason, warning } = structureOf(bytes);
  if (reason !== undefined) throw damaged(`The PDF is damaged or was cut off: ${reason}.`);
  const { getDocument } = await getResolvedPDFJS();
  try {
    const document = await getDocument({
      data: bytes,
      verbosity: 0,
      useSystemFonts: true,
      disableFontFace: true,
      isOffscreenCanvasSupported: false,
    }).promise;
    if (document.numPages < 1) throw damaged("The PDF is damaged: it holds no pages.");
    if (document.numPages > LIMITS.pages)
      throw new Refusal(
        "too_many_pages",
        `The PDF has ${document.numPages} pages; at most ${LIMITS.pages} can be analysed.`,
      );
    const { info } = await document.getMetadata();
    return {
      pageCount: document.numPages,
      title: "Title" in info && typeof info.Title === "string" ? info.Title : undefined,
      warnings: warning === undefined ? [] : [warning],
      lines: (page) => linesOfPage(document, page),
    };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (error instanceof Error && error.name === "PasswordException")
      throw new Refusal(
        "document_encrypted",
        "The PDF is encrypted and needs a password. Save it without one and send it again.",
      );
    throw damaged("The PDF is damaged: it cannot be opened.", error);
  }
}

async function linesOfPage(document: PDFDocumentProxy, page: number): Promise<Line[]> {
  let proxy: PDFPageProxy | undefined;
  try {
    proxy = await document.getPage(page);
    return linesOf(await itemsOf(proxy));
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw damaged(`The PDF is damaged: its page ${page} cannot be read.`, error);
  } finally {
    proxy?.cleanup();
  }
}

/** Reads in pieces, so that a page that never ends is noticed before it is in memory. */
async function itemsOf(page: PDFPageProxy): Promise<TextItem[]> {
  const reader: ReadableStreamDefaultReader<{ items: (TextItem | { type: string })[] }> = page
    .streamTextContent({ includeMarkedContent: false })
    .getReader();
  const items: TextItem[] = [];
  let characters = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return items;
    for (const item of value.items) {
      if (!("str" in item)) continue;
      items.push(item);
      characters += item.str.length;
    }
    if (characters > LIMITS.charactersPerPage)
      throw new Refusal(
        "page_too_long",
        `Page ${page.pageNumber} of the PDF has more than ${LIMITS.charactersPerPage} characters.`,
      );
  }
}
