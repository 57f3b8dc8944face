import type { OpenSockets } from "./open-sockets.ts";

/** How long requests and sockets that are under way may take to end when the server stops. */
const CLOSE_MS = 3_000;

/**
 * How a server closes, whichever runtime's it is.
 *
 * @param stop stops accepting, and resolves when nothing is under way any more
 * @param cut ends what is under way
 */
export function closing(sockets: OpenSockets, stop: () => Promise<unknown>, cut: () => unknown): () => Promise<void> {
  let closed: Promise<void> | undefined;
  const close = async () => {
    const stopped = stop();
    const timer = setTimeout(cut, CLOSE_MS);
    await sockets.close(CLOSE_MS);
    await stopped;
    clearTimeout(timer);
  };
  return () => {
    closed ??= close();
    return closed;
  };
}
