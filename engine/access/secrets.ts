import { hexDigest } from "../digest.ts";

/** RFC 4648's base 32 in lower case: one word to a double click, and safe in URLs, headers and shells. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
/** Of 5 bits each: 260 random bits. */
const LENGTH = 52;

const KEY = /^mr_([0-9a-f]{32})_[a-z2-7]{52}$/;
const TICKET = /^mrt_[a-z2-7]{52}$/;

/** A new secret of the API key with this id: `mr_ID_RANDOM`. */
export function newKeySecret(id: string, random?: Uint8Array): string {
  return `mr_${id}_${randomText(random)}`;
}

/** The id of the key that a text would be a secret of; undefined if it is none. */
export function idOfKeySecret(text: string): string | undefined {
  return KEY.exec(text)?.[1];
}

/** A new ticket: `mrt_RANDOM`. */
export function newTicket(random?: Uint8Array): string {
  return `mrt_${randomText(random)}`;
}

export function isTicket(text: string): boolean {
  return TICKET.test(text);
}

/** What is stored of a secret. It has more random bits than anyone can try, so neither salt nor a slow digest is needed. */
export function digestOf(secret: string): Promise<string> {
  return hexDigest("SHA-256", secret);
}

/** Whether two digests are the same, in a time that does not say how far they agree. */
export function sameDigest(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % b.length);
  return difference === 0;
}

function randomText(random: Uint8Array = crypto.getRandomValues(new Uint8Array(LENGTH))): string {
  return Array.from(random.subarray(0, LENGTH), (byte) => ALPHABET[byte & 31]).join("");
}
