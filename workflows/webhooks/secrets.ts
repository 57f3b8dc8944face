/** A secret that signatures are made with, or checked by. */
export interface Secret {
  secret: string;
  /** Until when, in ms, once another has taken its place. */
  until?: number;
}

const PREFIX = "whsec_";
const BYTES = 32;
/** Of those that overlap. */
const MOST_SECRETS = 5;

/** How long the secret before is still used after a rotation, if nothing else is said: a day. */
export const DEFAULT_OVERLAP_MS = 86_400_000;
export const MOST_OVERLAP_MS = 30 * 86_400_000;

/** A new secret, as Standard Webhooks writes them: `whsec_` and 32 random bytes in base64. */
export function newSecret(random: Uint8Array = crypto.getRandomValues(new Uint8Array(BYTES))): string {
  return PREFIX + toBase64(random.subarray(0, BYTES));
}

/** Those that are used now, the newest first. */
export function currentSecrets(secrets: readonly Secret[], now: number): string[] {
  return secrets.filter(({ until }) => until === undefined || until > now).map(({ secret }) => secret);
}

/** With a new one in front, unless it is there; those before it are used for `overlapMs` more, or as long as they were to be. */
export function rotated(secrets: readonly Secret[], secret: string, overlapMs: number, now: number): Secret[] {
  if (secrets[0]?.secret === secret) return [...secrets];
  const before = secrets
    .map((each) => ({ ...each, until: Math.min(each.until ?? Number.POSITIVE_INFINITY, now + overlapMs) }))
    .filter(({ until }) => until > now);
  return [{ secret }, ...before].slice(0, MOST_SECRETS);
}

/** The key in a secret of Standard Webhooks; undefined if it is none. */
export function keyOf(secret: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const text = atob(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
    return text === "" ? undefined : Uint8Array.from(text, (char) => char.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
