import { ProblemError } from "../problem.ts";

/** What is kept and given back of it, in characters. */
const MOST = 8_192;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/**
 * The metadata of an upload, as `Upload-Metadata` has them: `KEY BASE64`, separated by commas, each key once.
 *
 * @throws ProblemError 400
 */
export function parseMetadata(header: string): Map<string, string> {
  if (header.length > MOST) throw malformed(`It has ${MOST} characters at the most.`);
  const metadata = new Map<string, string>();
  if (header.trim() === "") return metadata;
  for (const pair of header.split(",")) {
    const [key = "", value = "", ...more] = pair.trim().split(" ");
    if (!/^[\x21-\x7e]+$/.test(key)) throw malformed("A key is printable ASCII, without spaces and commas.");
    if (metadata.has(key)) throw malformed(`The key ${key.slice(0, 100)} stands there twice.`);
    if (more.length > 0 || !BASE64.test(value)) throw malformed(`The value of ${key.slice(0, 100)} is not Base64.`);
    metadata.set(key, textOf(value));
  }
  return metadata;
}

/** What is said of the document, under the names that clients use. */
export function describedIn(metadata: ReadonlyMap<string, string>): {
  name: string;
  type: string | undefined;
  workflow: string | undefined;
} {
  return {
    name: metadata.get("filename") ?? metadata.get("name") ?? "",
    type: metadata.get("filetype") ?? metadata.get("type"),
    workflow: metadata.get("workflow"),
  };
}

function textOf(base64: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
}

function malformed(why: string): ProblemError {
  return new ProblemError(400, "upload_metadata", `Upload-Metadata cannot be read. ${why}`);
}
