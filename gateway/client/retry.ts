const FROM_MS = 100;
const TO_MS = 15_000;

/** For an `Idempotency-Key`. Pages that are not served over TLS have no `crypto.randomUUID`. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** How long to wait before the next try: at random below a ceiling that doubles, so that clients do not come back together. */
export function backoffMs(failures: number): number {
  const ceiling = Math.min(TO_MS, FROM_MS * 2 ** Math.min(failures, 10));
  return ceiling / 2 + (Math.random() * ceiling) / 2;
}

/** Resolves after so long, or at once when the machine is said to be online again. @throws the signal's reason */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const page = globalThis as Partial<EventTarget>;
    const done = () => {
      clearTimeout(timer);
      page.removeEventListener?.("online", done);
      signal?.removeEventListener("abort", done);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(done, ms);
    page.addEventListener?.("online", done);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
