import { FatalError, type StepContext } from "../../../engine/index.ts";
import { LIMITS } from "../limits.ts";
import { refOf } from "../records.ts";
import type { DocumentRef, Format, Identified } from "../shapes.ts";

const HEAD_BYTES = 4_096;
const FORMATS: Readonly<Record<string, Format>> = {
  "application/pdf": "pdf",
  "text/plain": "text",
  "text/markdown": "markdown",
};

/**
 * Looks at the head of the document: is it what its type says, and can it be taken on at all? Its size,
 * name and digest are the store's and not what the caller says.
 *
 * @throws FatalError `document_missing`, `document_empty`, `document_too_large`, `document_type`
 */
export default async function identify(input: { document: DocumentRef }, ctx: StepContext): Promise<Identified> {
  const blob = await ctx.blobs.find(ctx.run.tenant, input.document.id);
  if (blob === undefined)
    throw new FatalError(`There is no document ${input.document.id}; it may have been deleted.`, {
      code: "document_missing",
    });
  const document = { ...refOf(blob), type: input.document.type };
  if (blob.size === 0) throw new FatalError("The document is empty.", { code: "document_empty" });
  if (blob.size > LIMITS.bytes)
    throw new FatalError(`The document has ${blob.size} bytes; at most ${LIMITS.bytes} can be analysed.`, {
      code: "document_too_large",
    });
  const format = FORMATS[document.type];
  const found = looksLike(await headOf(ctx, document.id));
  if (format === undefined || (format === "pdf") !== (found === "pdf") || found === "binary")
    throw new FatalError(`The document was sent as ${document.type}, but its content is ${NAMES[found]}.`, {
      code: "document_type",
    });
  ctx.progress(1);
  return { document, format };
}

const NAMES = { pdf: "a PDF", text: "text", binary: "neither a PDF nor text" };

function looksLike(head: Uint8Array): keyof typeof NAMES {
  const text = new TextDecoder("latin1").decode(head);
  // Readers have always accepted some bytes before the header (ISO 32000-1, Annex H, note 13).
  if (text.slice(0, 1_024).includes("%PDF-")) return "pdf";
  const utf16 = text.startsWith("\xff\xfe") || text.startsWith("\xfe\xff");
  return text.includes("\0") && !utf16 ? "binary" : "text";
}

async function headOf(ctx: StepContext, id: string): Promise<Uint8Array> {
  const { body } = await ctx.blobs.open(ctx.run.tenant, id);
  const reader = body.getReader();
  const head = new Uint8Array(HEAD_BYTES);
  let length = 0;
  try {
    while (length < HEAD_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      const part = value.subarray(0, HEAD_BYTES - length);
      head.set(part, length);
      length += part.byteLength;
    }
  } finally {
    await reader.cancel();
  }
  return head.subarray(0, length);
}
