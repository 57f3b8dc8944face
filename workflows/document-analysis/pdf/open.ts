import { getResolvedPDFJS } from "unpdf";
import type { PDFDocumentProxy, PDFPageProxy } from "unpdf/pdfjs";
import { FatalError } from "../../../engine/index.ts";
import { abortable, type Pace } from "../../pace.ts";
import { LIMITS } from "../limits.ts";
import { type Line, linesOf, type TextItem } from "./lines.ts";
import { structureOf } from "./structure.ts";

/** Letting go of a document is quick; if it is not, the parser is stuck and nothing is gained by waiting. */
const CLOSE_MS = 5_000;

export interface Pdf {
  pageCount: number;
  /** From the document's own properties; undefined if it has none. */
  title: string | undefined;
  warnings: string[];
  /** The lines of a page, 1 to `pageCount`. @throws FatalError `document_damaged`, `page_too_long` */
  lines(page: number): Promise<Line[]>;
  /** Frees what the parser holds. To be called whatever happened. */
  close(): Promise<void>;
}

/**
 * Opens a PDF. The bytes belong to the parser from now on.
 *
 * @throws FatalError `document_damaged`, `document_encrypted`, `too_many_pages`; the signal's reason
 */
export async function openPdf(bytes: Uint8Array, signal: AbortSignal, pace: Pace): Promise<Pdf> {
  const { damaged, warning } = structureOf(bytes);
  if (damaged !== undefined) throw damage(`The PDF is damaged or was cut off: ${damaged}.`);
  const { getDocument } = await getResolvedPDFJS();
  const task = getDocument({
    data: bytes,
    verbosity: 0,
    useSystemFonts: true,
    disableFontFace: true,
    isOffscreenCanvasSupported: false,
  });
  const close = () => within(CLOSE_MS, task.destroy());
  try {
    const document = await abortable(task.promise, signal);
    if (document.numPages < 1) throw damage("The PDF is damaged: it holds no pages.");
    if (document.numPages > LIMITS.pages)
      throw new FatalError(`The PDF has ${document.numPages} pages; at most ${LIMITS.pages} can be analysed.`, {
        code: "too_many_pages",
      });
    const { info } = await abortable(document.getMetadata(), signal);
    const title = "Title" in info && typeof info.Title === "string" ? info.Title : undefined;
    return {
      pageCount: document.numPages,
      title,
      warnings: warning === undefined ? [] : [warning],
      lines: (page) => linesOfPage(document, page, signal, pace),
      close,
    };
  } catch (error) {
    await close();
    throw signal.aborted || error instanceof FatalError ? error : openingError(error);
  }
}

async function linesOfPage(document: PDFDocumentProxy, page: number, signal: AbortSignal, pace: Pace): Promise<Line[]> {
  let proxy: PDFPageProxy | undefined;
  try {
    proxy = await abortable(document.getPage(page), signal);
    return linesOf(await itemsOf(proxy, signal, pace));
  } catch (error) {
    if (signal.aborted || error instanceof FatalError) throw error;
    throw damage(`The PDF is damaged: its page ${page} cannot be read.`, error);
  } finally {
    proxy?.cleanup();
  }
}

/** Reads in pieces, so that a page that never ends is noticed before it is in memory. */
async function itemsOf(page: PDFPageProxy, signal: AbortSignal, pace: Pace): Promise<TextItem[]> {
  const reader: ReadableStreamDefaultReader<{ items: (TextItem | { type: string })[] }> = page
    .streamTextContent({ includeMarkedContent: false })
    .getReader();
  const items: TextItem[] = [];
  let characters = 0;
  try {
    for (;;) {
      const { done, value } = await abortable(reader.read(), signal);
      if (done) return items;
      for (const item of value.items) {
        if (!("str" in item)) continue;
        items.push(item);
        characters += item.str.length;
      }
      if (characters > LIMITS.charactersPerPage)
        throw new FatalError(
          `Page ${page.pageNumber} of the PDF has more than ${LIMITS.charactersPerPage} characters.`,
          {
            code: "page_too_long",
          },
        );
      await pace();
    }
  } catch (error) {
    await within(CLOSE_MS, reader.cancel(error));
    throw error;
  }
}

function openingError(error: unknown): FatalError {
  if (error instanceof Error && error.name === "PasswordException")
    return new FatalError("The PDF is encrypted and needs a password. Save it without one and send it again.", {
      code: "document_encrypted",
    });
  return damage("The PDF is damaged: it cannot be opened.", error);
}

function damage(message: string, cause?: unknown): FatalError {
  return new FatalError(
    message,
    cause === undefined ? { code: "document_damaged" } : { code: "document_damaged", cause },
  );
}

/** The promise's outcome, or nothing once the time is over. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
