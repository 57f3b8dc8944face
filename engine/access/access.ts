import type { Records } from "../records.ts";
import type { Client } from "../redis/client.ts";
import type { Subscriber } from "../redis/subscriber.ts";
import { ApiKeyStore } from "../store/api-key-store.ts";
import { LimitStore } from "../store/limit-store.ts";
import { TicketStore } from "../store/ticket-store.ts";
import type { Store } from "../store.ts";
import type { AccessApi } from "./api.ts";
import { ApiKeys } from "./api-keys.ts";
import { Quotas, RateLimits } from "./limits.ts";
import { Tickets } from "./tickets.ts";

/** What `millrace.access` is; whoever closes the connection stops it. */
export function accessOf(
  client: Client,
  store: Store,
  records: Records,
  subscriber: () => Subscriber,
): AccessApi & { stop(): Promise<void> } {
  const keys = new ApiKeys(new ApiKeyStore(client, store.allPartitions[0]!), records, subscriber);
  const limits = new LimitStore(client, store.partitions);
  return {
    keys,
    tickets: new Tickets(new TicketStore(client, store.partitions), (key) => keys.works(key)),
    rateLimits: new RateLimits(limits),
    quotas: new Quotas(limits),
    stop: () => keys.stop(),
  };
}
