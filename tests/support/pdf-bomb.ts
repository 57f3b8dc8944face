import { constants, deflateRawSync, deflateSync } from "node:zlib";
import { madePdf } from "./analysis.ts";

const MB = 1024 * 1024;
const FILTERS = "/Filter[/FlateDecode/FlateDecode]";

/** A PDF of a few KB whose only page unpacks, in two steps, to so many MB of `content` over and over. */
export function pdfBomb(megabytes: number, content = " "): Uint8Array {
  const block = deflateRawSync(Buffer.alloc(MB, content), { finishFlush: constants.Z_FULL_FLUSH, level: 9 });
  const blocks = new Array<Buffer>(megabytes).fill(block);
  // A zlib stream (RFC 1950): two bytes before it, a checksum after it, which nobody gets to.
  const once = Buffer.concat([Buffer.from([0x78, 0xda]), ...blocks, deflateRawSync(content), Buffer.alloc(4)]);
  const twice = deflateSync(once, { level: 9 }).toString("latin1");
  const pdf = madePdf(twice)
    .replace(`<</Length ${twice.length}>>`, `<</Length ${twice.length}${FILTERS}>>`)
    .replace(/(?<=startxref\n)\d+/, (at) => String(Number(at) + FILTERS.length));
  return Buffer.from(pdf, "latin1");
}
