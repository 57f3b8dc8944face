import type { Context } from "hono";
import type { Env } from "../context.ts";
import { ProblemError } from "../problem.ts";
import { OFFSET_TYPE } from "./protocol.ts";

/** @throws ProblemError 400 if it is not there, or not a whole number of bytes */
export function neededBytes(c: Context<Env>, name: string): number {
  const bytes = givenBytes(c, name);
  if (bytes === undefined) throw new ProblemError(400, "tus_header", `${name} is missing.`);
  return bytes;
}

/** @throws ProblemError 400 for what is not a whole number of bytes */
export function givenBytes(c: Context<Env>, name: string): number | undefined {
  const value = c.req.header(name);
  if (value === undefined) return undefined;
  if (!/^[0-9]{1,15}$/.test(value))
    throw new ProblemError(400, "tus_header", `${name} is a whole number of bytes, 0 or more.`);
  return Number(value);
}

/**
 * How many bytes a new upload will have; undefined if its client says that later.
 *
 * @throws ProblemError 400 unless one of both is said, 413 past `maxBytes`, 422 for none at all
 */
export function lengthOf(c: Context<Env>, maxBytes: number): number | undefined {
  const deferred = c.req.header("upload-defer-length");
  const length = givenBytes(c, "Upload-Length");
  if (deferred !== undefined && deferred !== "1")
    throw new ProblemError(400, "tus_header", "Upload-Defer-Length is 1, or left out.");
  if ((length === undefined) === (deferred === undefined))
    throw new ProblemError(400, "tus_header", "Send either Upload-Length or Upload-Defer-Length: 1.");
  if (length !== undefined) checkLength(length, maxBytes);
  return length;
}

/** @throws ProblemError 413, 422 */
export function checkLength(length: number, maxBytes: number): void {
  if (length > maxBytes) throw new ProblemError(413, "body_too_large", `An upload has ${maxBytes} bytes at the most.`);
  if (length === 0) throw new ProblemError(422, "empty_document", "The document is empty.");
}

/** @throws ProblemError 415 */
export function checkOffsetType(c: Context<Env>): void {
  if (c.req.header("content-type")?.toLowerCase() !== OFFSET_TYPE)
    throw new ProblemError(415, "content_type", `Send the bytes with Content-Type: ${OFFSET_TYPE}.`);
}
