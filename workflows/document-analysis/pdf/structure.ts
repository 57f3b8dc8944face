const HEADER_BYTES = 1_024;
const TRAILER_BYTES = 1_024;
/** A revision begins right after the end of the one before. */
const REVISION_BYTES = 64 * 1024;
const LATIN1 = new TextDecoder("latin1");

/** What the frame of a PDF says about it: `damaged` is why it cannot be whole; `warning`, what else is odd. */
export interface Structure {
  damaged?: string;
  warning?: string;
}

/**
 * Looks at the frame of a PDF: its header, its end and where the end says that the table of its objects is.
 *
 * Parsers that find no table scan for objects and go on with what there is, so that half a file becomes a document with
 * half the pages and nobody is told. A PDF ends with `startxref`, an offset and `%%EOF` (ISO 32000-1, 7.5.5), and a
 * linearized one says at its beginning how long it is (Annex F). Bytes after the end are allowed, unless they are the
 * beginning of a revision (7.5.6) whose own end is missing.
 */
export function structureOf(bytes: Uint8Array): Structure {
  const head = latin1(bytes, 0, HEADER_BYTES);
  const shift = head.indexOf("%PDF-");
  if (shift === -1) return { damaged: "its header is missing" };
  const promised = /\/Linearized\b[^>]*?\/L\s+(\d+)/.exec(latin1(bytes, shift, shift + 2 * HEADER_BYTES));
  if (promised !== null && Number(promised[1]) > bytes.length - shift)
    return { damaged: `it should have ${promised[1]} bytes and has ${bytes.length - shift}` };

  const end = lastIndexOf(bytes, "%%EOF");
  if (end === -1) return { damaged: "its end is missing" };
  if (/\d\s{1,8}\d{1,10}\s{1,8}obj\b/.test(latin1(bytes, end, end + REVISION_BYTES)))
    return { damaged: "the end of its last revision is missing" };
  const trailer = /startxref\s+(\d+)\s*$/.exec(latin1(bytes, Math.max(0, end - TRAILER_BYTES), end));
  const offset = Number(trailer?.[1] ?? 0);
  // The first part of a linearized file ends with the offset 0.
  if (offset === 0) return { damaged: "the place of its object table is missing" };
  if (offset + shift >= bytes.length) return { damaged: "its object table lies beyond its end" };
  return [offset, offset + shift].some((at) => /^\s*(?:xref\b|\d+\s+\d+\s+obj\b)/.test(latin1(bytes, at, at + 40)))
    ? {}
    : {
        warning:
          "The PDF's object table is not where the PDF says; its objects were searched for, and some may be missing.",
      };
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return LATIN1.decode(bytes.subarray(start, end));
}

function lastIndexOf(bytes: Uint8Array, text: string): number {
  const wanted = new TextEncoder().encode(text);
  for (let at = bytes.length - wanted.length; at >= 0; at -= 1) {
    at = bytes.lastIndexOf(wanted[0]!, at);
    if (at === -1) return -1;
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
