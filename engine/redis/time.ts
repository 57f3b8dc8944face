/** The server's time in milliseconds, of a reply of TIME: seconds and microseconds. */
export function serverTimeMs([seconds, micros]: readonly [string, string]): number {
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}
