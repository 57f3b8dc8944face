import { isLast } from "./feeds.ts";
import type { Live } from "./live.ts";
import type { Message } from "./types.ts";

/** So much waits for who does not take it; then the watch is let go of, and begun again where it was. */
const MOST = 1_000;

/** A run's messages one by one, from after a number or cursor to its end. @throws the signal's reason; ClientError if it cannot be watched */
export async function* messagesOf(
  live: Live,
  run: string,
  from: string,
  signal?: AbortSignal,
): AsyncGenerator<Message> {
  const queue: Message[] = [];
  let after = from;
  let over: { error?: unknown } | undefined;
  let wake = (): void => {};
  let leave: (() => void) | undefined;
  const stop = () => {
    over = { error: signal!.reason };
    wake();
  };
  signal?.throwIfAborted();
  signal?.addEventListener("abort", stop, { once: true });
  const begin = () =>
    live.watch(run, after, {
      take(message) {
        queue.push(message);
        after = message.type === "reset" ? String(message.seq) : message.cursor;
        if (queue.length >= MOST && !isLast(message)) {
          leave?.();
          leave = undefined;
        }
        wake();
      },
      heard: () => {},
      end(error) {
        over ??= error === undefined ? {} : { error };
        wake();
      },
    });
  try {
    leave = begin();
    for (;;) {
      const next = queue.shift();
      if (signal?.aborted) throw signal.reason;
      if (next !== undefined) yield next;
      else if (over !== undefined) {
        if ("error" in over) throw over.error;
        return;
      } else if (leave === undefined) leave = begin();
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    leave?.();
  }
}
