import { isAborted } from "./aborted.ts";
import { type Following, type FollowOptions, follow } from "./follow.ts";
import type { Subscriber } from "./redis/subscriber.ts";
import type { Store } from "./store.ts";
import type { WatchMessage } from "./views.ts";

/** So many messages wait for whoever asks for them; what comes after waits in the log. */
const AHEAD = 64;

export interface WatchOptions extends Omit<FollowOptions, "take"> {
  signal?: AbortSignal | undefined;
}

/** The same as `follow`, one by one as they are asked for. Ends after the run's last event, or when `signal` is aborted. */
export async function* watch(
  store: Store,
  subscriber: () => Subscriber,
  run: { run: string; tenant: string },
  { signal, ...options }: WatchOptions,
): AsyncGenerator<WatchMessage> {
  const ready: WatchMessage[] = [];
  let wake = (): void => {};
  let following: Following | undefined;
  let isOver = false;
  let failure: { error: unknown } | undefined;
  const take = (message: WatchMessage): boolean => {
    ready.push(message);
    wake();
    return ready.length < AHEAD;
  };
  const stop = (): void => following?.stop();
  try {
    following = follow(store, subscriber(), run, { ...options, take });
    following.ended
      .catch((error) => {
        failure = { error };
      })
      .finally(() => {
        isOver = true;
        wake();
      });
    signal?.addEventListener("abort", stop);
    while (!isAborted(signal)) {
      const message = ready.shift();
      if (message !== undefined) {
        yield message;
        if (ready.length === 0) following.more();
      } else if (failure !== undefined) throw failure.error;
      else if (isOver) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
  }
}
