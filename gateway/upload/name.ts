import { ProblemError } from "../problem.ts";

const MAX_LENGTH = 255;

/**
 * A document's name as people will see it: the last part of what may be a path, without control characters and
 * characters that reverse the writing. Never used as a path; this is so that no client uses it as one either.
 *
 * @throws ProblemError 422 for more than 255 characters
 */
export function cleanName(given: string): string {
  const printable = given.toWellFormed().replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
  const name = printable.slice(Math.max(printable.lastIndexOf("/"), printable.lastIndexOf("\\")) + 1).trim();
  if (name.length > MAX_LENGTH) {
    const message = `A name has ${MAX_LENGTH} characters at the most.`;
    throw new ProblemError(422, "invalid_name", message, { errors: [{ path: ["name"], message }] });
  }
  return name === "" || name === "." || name === ".." ? "document" : name;
}

/**
 * The Content-Disposition that saves a document under its name: plain ASCII for old clients, then the whole name
 * (RFC 6266, with the encoding of RFC 5987).
 */
export function attachment(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]/g, "_").replace(/[\\"%]/g, "_");
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
