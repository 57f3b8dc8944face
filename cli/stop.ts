/** Ctrl-C arrives from the terminal and again from whatever started this process: within this time it is one request. */
const SAME_REQUEST_MS = 1_000;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Resolves when this process is first asked to stop. Asked again more than a second later, it ends at once.
 *
 * @param endAtOnce called then, just before it ends
 */
export function askedToStop(endAtOnce?: () => void): Promise<void> {
  return new Promise((resolve) => {
    let askedAt: number | undefined;
    const onSignal = () => {
      askedAt ??= performance.now();
      if (performance.now() - askedAt > SAME_REQUEST_MS) {
        endAtOnce?.();
        process.exit(130);
      }
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, onSignal);
  });
}

/** Resolves when standard input ends: the process at the pipe's other end has ended, however it did. */
export function parentGone(): Promise<void> {
  return new Promise((resolve) => {
    process.stdin.on("end", resolve).on("error", () => resolve());
    process.stdin.resume();
  });
}

/** Waits for a promise, but no longer than that. @returns whether it came in time */
export async function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
