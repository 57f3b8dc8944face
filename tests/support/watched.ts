import type { Message, Store } from "../../gateway/client/index.ts";

/** Everything that a watch tells, once it has ended. */
export async function all(messages: AsyncIterable<Message>): Promise<Message[]> {
  const seen: Message[] = [];
  for await (const message of messages) seen.push(message);
  return seen;
}

/** Subscribes to a store until its state is as it should be. @returns ends the subscription */
export function until<S>(store: Store<S>, met: (state: S) => boolean): Promise<() => void> {
  return new Promise((resolve) => {
    const look = () => {
      if (met(store.getSnapshot())) resolve(() => unsubscribe());
    };
    const unsubscribe = store.subscribe(look);
    look();
  });
}
