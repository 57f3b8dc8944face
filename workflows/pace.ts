/** How long work may hold the event loop before others (heartbeats, sockets) get their turn, in milliseconds. */
const SLICE_MS = 20;

/** To be called often in long work: usually returns at once, and every 20 ms lets the event loop turn. */
export type Pace = () => Promise<void> | undefined;

/** A pace that throws the signal's reason once it is aborted. */
export function pacer(signal: AbortSignal): Pace {
  let since = performance.now();
  return () => {
    signal.throwIfAborted();
    if (performance.now() - since < SLICE_MS) return undefined;
    return new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => {
      since = performance.now();
      signal.throwIfAborted();
    });
  };
}
