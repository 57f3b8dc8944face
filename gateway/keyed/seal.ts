const ALGORITHM = "AES-GCM";
const IV_BYTES = 12;

type Bytes = Uint8Array<ArrayBuffer>;

/** Seals what nobody reads without all of the secrets that it was made of. */
export interface Seal {
  /** @param what it is, so that one thing does not open as another */
  close(what: string, bytes: Bytes): Promise<string>;
  /** Undefined for what was sealed by other secrets, or is broken. */
  open(what: string, sealed: string): Promise<Bytes | undefined>;
}

/**
 * AES-GCM by a key that is derived with HKDF (RFC 5869).
 *
 * @param secrets of which one at least is not to be guessed
 * @param about what it is for: another key for each
 */
export async function sealBy(secrets: readonly string[], about: string): Promise<Seal> {
  const base = await crypto.subtle.importKey("raw", utf8(JSON.stringify(secrets)), "HKDF", false, ["deriveKey"]);
  const from = { name: "HKDF", hash: "SHA-256", salt: utf8("millrace kept reply"), info: utf8(about) };
  const key = await crypto.subtle.deriveKey(from, base, { name: ALGORITHM, length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
  const by = (iv: Bytes, what: string) => ({ name: ALGORITHM, iv, additionalData: utf8(what) });
  return {
    async close(what, bytes) {
      const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
      const sealed = new Uint8Array(await crypto.subtle.encrypt(by(iv, what), key, bytes));
      return btoa(Array.from([...iv, ...sealed], (byte) => String.fromCharCode(byte)).join(""));
    },
    async open(what, sealed) {
      try {
        const bytes = Uint8Array.from(atob(sealed), (char) => char.charCodeAt(0));
        const iv = bytes.subarray(0, IV_BYTES);
        return new Uint8Array(await crypto.subtle.decrypt(by(iv, what), key, bytes.subarray(IV_BYTES)));
      } catch {
        return undefined;
      }
    },
  };
}

export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}
