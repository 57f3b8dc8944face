import { fileTypeFromBuffer } from "file-type";
import { ProblemError } from "../problem.ts";

/** How much of a document's beginning is looked at. */
export const HEAD_BYTES = 4_100;

const PDF = "application/pdf";
/** A PDF's header may be preceded by something else, but stands in the first 1,024 bytes (ISO 32000-1, annex H). */
const PDF_HEADER_WITHIN = 1_024;

const TEXT_BY_EXTENSION: Record<string, string> = {
  txt: "text/plain",
  md: "text/markdown",
  markdown: "text/markdown",
  html: "text/html",
  htm: "text/html",
  csv: "text/csv",
  json: "application/json",
};
const TEXTS = new Set(Object.values(TEXT_BY_EXTENSION));
/** Texts that show by their content what they are. Other magic numbers are too short to be believed of a text: "BM" opens a bitmap. */
const TEXT_BY_CONTENT = /^(?:text\/.+|application\/(?:xml|rtf)|image\/svg\+xml)$/;

/**
 * A document's media type, by its content. What is text may say itself which text it is; nothing else is taken at
 * its word.
 *
 * @param head its first bytes, `HEAD_BYTES` of them if there are as many
 * @param declared the Content-Type that it came with
 * @throws ProblemError 415 if it is called a PDF and is none
 */
export async function mediaType(
  head: Uint8Array<ArrayBuffer>,
  name: string,
  declared: string | undefined,
): Promise<string> {
  const extension = /\.([A-Za-z0-9]{1,10})$/.exec(name)?.[1]?.toLowerCase() ?? "";
  const essence = declared?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (isPdf(head)) return PDF;
  if (essence === PDF || extension === "pdf")
    throw new ProblemError(415, "not_a_pdf", "The document is called a PDF, but its content is not one.");
  const found = (await fileTypeFromBuffer(head))?.mime;
  if (!isText(head)) return found ?? "application/octet-stream";
  if (found !== undefined && TEXT_BY_CONTENT.test(found)) return found;
  return TEXTS.has(essence) ? essence : (TEXT_BY_EXTENSION[extension] ?? "text/plain");
}

function isPdf(head: Uint8Array): boolean {
  const start = new TextDecoder("latin1").decode(head.subarray(0, PDF_HEADER_WITHIN));
  return start.includes("%PDF-");
}

/** UTF-8 without NULs. */
function isText(head: Uint8Array): boolean {
  if (head.includes(0)) return false;
  try {
    // More may follow, so a character may be cut at the end.
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: head.byteLength >= HEAD_BYTES });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
