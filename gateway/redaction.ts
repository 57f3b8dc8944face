const REDACTED = "[redacted]";

/** What is a secret wherever it stands, and what is left of it. `%5F` is how URLs may write `_`, `%3D` a `=`. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  // API keys, tickets and the secrets of webhooks.
  [/(mrt?|whsec)(?:_|%5F)[A-Za-z0-9_+/=%-]{4,}/gi, `$1_${REDACTED}`],
  // JWTs: the header of each begins with `{"`.
  [/\beyJ[\w-]{4,}(?:\.[\w-]*){1,4}/g, REDACTED],
  [/\b(bearer|basic)(\s+|%20|\+)(?!\[redacted)[^\s"',;\\]+/gi, `$1 ${REDACTED}`],
  [/\b(authorization["']?\s*[:=]\s*["']?)(?!bearer|basic|\[redacted)[^\s"',;\\]+/gi, `$1${REDACTED}`],
  [/\b(ticket(?:=|%3D))[^\s"'&;\\]+/gi, `$1${REDACTED}`],
  // The password of a URL.
  [/(:\/\/[^\s:/@"']*:)[^\s/@"']+@/g, `$1${REDACTED}@`],
];

/** A line of a log without the secrets that are in it. */
export function redacted(line: string): string {
  return SECRETS.reduce((text, [secret, left]) => text.replace(secret, left), line);
}
