import type { Context } from "hono";
import type { BlobInfo, ByteRange } from "../../engine/index.ts";
import type { Env } from "../context.ts";

/** How a request for a document is answered: with all of it, some of it, or none of its bytes. */
export type Answer =
  | { status: 200 }
  | { status: 206; range: ByteRange; headers: Record<string, string> }
  | { status: 304 }
  | { status: 416; headers: Record<string, string> };

/** Whether a request says anything by which it may be answered with less than the whole document. */
export function isConditional(c: Context<Env>): boolean {
  return c.req.method === "HEAD" || c.req.header("if-none-match") !== undefined || c.req.header("range") !== undefined;
}

/** A document's entity tag: it never changes, so it is a strong one. */
export function entityTag({ sha256 }: BlobInfo): string {
  return `"${sha256}"`;
}

/**
 * What a request for a document wants, by `If-None-Match`, `Range` and `If-Range`, in this order (RFC 9110, 13.2.2). One
 * range is served; a request for several, or for one that cannot be read, is answered with the whole (14.2 lets it be).
 */
export function answerTo(c: Context<Env>, blob: BlobInfo): Answer {
  const tag = entityTag(blob);
  const noneMatch = c.req.header("if-none-match");
  if (noneMatch !== undefined && matches(noneMatch, tag)) return { status: 304 };
  // A range is of GET alone (14.2).
  const asked = c.req.method === "GET" ? c.req.header("range") : undefined;
  const ifRange = c.req.header("if-range");
  // A date would have to be compared with a Last-Modified, which is not told.
  if (asked === undefined || (ifRange !== undefined && ifRange.trim() !== tag)) return { status: 200 };
  const range = rangeOf(asked, blob.size);
  if (range === undefined) return { status: 200 };
  if (range === "none") return { status: 416, headers: { "Content-Range": `bytes */${blob.size}` } };
  const last = range.offset + range.length - 1;
  return { status: 206, range, headers: { "Content-Range": `bytes ${range.offset}-${last}/${blob.size}` } };
}

/** By the weak comparison, which `If-None-Match` is for (RFC 9110, 13.1.2). */
function matches(list: string, tag: string): boolean {
  if (list.trim() === "*") return true;
  return list.split(",").some((each) => each.trim().replace(/^W\//, "") === tag);
}

/** @returns undefined for what is no single range of bytes; `none` for one that is beyond the end */
function rangeOf(header: string, size: number): ByteRange | "none" | undefined {
  const [, from, to] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header) ?? [];
  if (from === undefined || to === undefined || (from === "" && to === "")) return undefined;
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "none" : { offset: size - length, length };
  }
  const offset = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < offset) return undefined;
  return offset >= size ? "none" : { offset, length: last - offset + 1 };
}
