/** The digest of a text, as UTF-8, or of bytes, in lower-case hex. */
export async function hexDigest(
  algorithm: "SHA-1" | "SHA-256",
  content: string | Uint8Array<ArrayBuffer>,
): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest(algorithm, bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
