import { keyOf, toBase64 } from "./secrets.ts";

const ALGORITHM = { name: "HMAC", hash: "SHA-256" } as const;

/** What is signed of a message: its id, the time in seconds when it is sent, and its body. */
export function signedContent(id: string, timestamp: number | string, body: string): string {
  return `${id}.${timestamp}.${body}`;
}

/**
 * The value of `webhook-signature`: a signature by each secret, so that a receiver may check by any.
 * (https://www.standardwebhooks.com)
 */
export async function sign(secrets: readonly string[], content: string): Promise<string> {
  const signatures = await Promise.all(
    secrets.map(async (secret) => {
      const key = await hmacKey(keyOf(secret)!, "sign");
      const bytes = new TextEncoder().encode(content);
      return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign(ALGORITHM.name, key, bytes)))}`;
    }),
  );
  return signatures.join(" ");
}

/** Whether a signature is that of the content. Takes as long whichever bytes differ. */
export async function isSignedBy(
  key: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  content: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  return crypto.subtle.verify(ALGORITHM.name, await hmacKey(key, "verify"), signature, content);
}

function hmacKey(bytes: Uint8Array<ArrayBuffer>, use: "sign" | "verify"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, ALGORITHM, false, [use]);
}
