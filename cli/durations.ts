/** A time in ms for people: `0`, `750 ms`, `12.3 s`, `5 min`, `3 h`, `2 d`. */
export function durationOf(ms: number): string {
  if (ms < 1_000) return ms === 0 ? "0" : `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}
