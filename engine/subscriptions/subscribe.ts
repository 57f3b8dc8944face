import { MillraceError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { PartitionKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import { type RetryPolicy, retryPolicy } from "../retry.ts";
import type { SubscriptionStore } from "../store/subscription-store.ts";
import { Consumer } from "./consumer.ts";
import { subscriptionSettings } from "./settings.ts";
import type { SubscribeOptions, SubscriptionConsumer, SubscriptionHandler, SubscriptionsApi } from "./types.ts";

/** A consumer that has not been stopped, as its connection knows it. */
export interface RunningConsumer extends SubscriptionConsumer {
  /** Resolves when what is to be tried again by now is back in the stream. */
  redeliver(): Promise<void>;
}

export interface SubscribeParts {
  stores: readonly SubscriptionStore[];
  subscriptions: SubscriptionsApi;
  running: Set<RunningConsumer>;
  connect(keys: PartitionKeys): Promise<Client>;
  unblock(keys: PartitionKeys, connection: number): Promise<boolean>;
}

/** What a consumer is to be, beside the subscription's settings. */
interface Checked {
  retry: RetryPolicy;
  concurrency: number;
  timeoutMs: number;
  leaseMs: number;
  drainMs: number;
}

/** Stores the subscription and starts a consumer of it in each partition. */
export async function subscribe(
  { stores, subscriptions, running, connect, unblock }: SubscribeParts,
  options: SubscribeOptions,
  handler: SubscriptionHandler,
): Promise<SubscriptionConsumer> {
  const settings = subscriptionSettings(options);
  const checked = check(options, handler);
  await subscriptions.create(options);
  const concurrency = Math.ceil(checked.concurrency / stores.length);
  const id = newId();
  const consumers = stores.map(
    (store) =>
      new Consumer({
        ...{ ...checked, id, store, settings: { ...settings }, handler, concurrency },
        connect: () => connect(store.keys),
        unblock: (connection) => unblock(store.keys, connection),
      }),
  );
  for (const each of consumers) each.start();
  const consumer: RunningConsumer = {
    ...{ group: settings.group, id },
    get silentMs() {
      return Math.max(...consumers.map((each) => each.silentMs));
    },
    redeliver: async () => {
      await Promise.all(consumers.map((each) => each.redeliver()));
    },
    stop: async () => {
      await Promise.all(consumers.map((each) => each.stop()));
      running.delete(consumer);
    },
  };
  running.add(consumer);
  return consumer;
}

/** @throws MillraceError `bad_option`; DefinitionError for a bad `retry` */
function check(options: SubscribeOptions, handler: SubscriptionHandler): Checked {
  const { concurrency = 1, timeoutMs = 300_000, leaseMs = 10_000, drainMs = 10_000 } = options;
  if (typeof handler !== "function") throw bad("A subscription's handler must be a function");
  if (!(Number.isInteger(concurrency) && concurrency >= 1 && concurrency <= 1_000))
    throw bad("concurrency must be a whole number from 1 to 1000");
  if (!(timeoutMs > 0 && timeoutMs <= 86_400_000)) throw bad("timeoutMs must be above 0 and at most a day");
  if (!(leaseMs >= 100)) throw bad("leaseMs must be 100 or more");
  if (!(drainMs >= 0)) throw bad("drainMs must be 0 or more");
  const retry = retryPolicy(`Subscription ${JSON.stringify(options.group)}`, options.retry);
  return { concurrency, timeoutMs, leaseMs, drainMs, retry };
}

function bad(message: string): MillraceError {
  return new MillraceError("bad_option", message);
}
