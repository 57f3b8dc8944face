import * as v from "valibot";
import { type Millrace, type Workflow, workflow } from "../../engine/index.ts";
import { Destinations, type WebhookPolicy } from "./destinations.ts";
import type { Delivered } from "./steps/deliver.ts";
import { WEBHOOK_DELIVERY } from "./webhooks.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** How long after each failure it is tried again: for three days and more. (https://www.standardwebhooks.com) */
const DELAYS_MS = [
  ...[5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS],
  ...[2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 14 * HOUR_MS, 20 * HOUR_MS, 24 * HOUR_MS],
];
export const LONGEST_DELAY_MS = 24 * HOUR_MS;
/** What the end of an attempt needs beyond its request. */
const MARGIN_MS = 15_000;

/** An address that a host name stands for. */
export interface Resolved {
  address: string;
}

/** What the delivery of webhooks works with. */
export interface DeliveryOptions {
  /** The connection that the workflow is used with: it is made with the workflow, and so after it. */
  millrace: () => Millrace;
  policy?: WebhookPolicy;
  /** How long a receiver may take, from looking up its name to the end of its answer. Default 15 s. */
  timeoutMs?: number;
  /** Looks a host name up. Default: as the system does. */
  resolve?: (host: string) => Promise<readonly Resolved[]>;
}

/** What a delivery is of. */
export interface Delivery {
  webhook: string;
  message: { id: string; type: string; timestamp: string; data: unknown };
}

const delivery: v.GenericSchema<Delivery> = v.object({
  webhook: v.string(),
  message: v.object({ id: v.string(), type: v.string(), timestamp: v.string(), data: v.unknown() }),
});

/**
 * The workflow that delivers one message to one webhook. A receiver that fails is tried again for three days; then the
 * delivery is a dead letter.
 */
export function webhookDelivery(
  options: DeliveryOptions,
): Workflow<
  Delivery,
  { deliver: Delivered },
  "deliver",
  "deliver",
  never,
  { deliver: { input: Delivery; output: Delivered } }
> {
  const { timeoutMs = 15_000 } = options;
  const parts = { ...options, timeoutMs, destinations: new Destinations(options.policy) };
  return workflow(WEBHOOK_DELIVERY, {
    input: delivery,
    partitionBy: (input) => (input as Delivery).webhook,
  }).step("deliver", {
    timeoutMs: timeoutMs + MARGIN_MS,
    retry: {
      attempts: DELAYS_MS.length + 1,
      maxMs: 2 * LONGEST_DELAY_MS,
      backoff: (failures) => DELAYS_MS[failures - 1]! * (0.9 + Math.random() / 5),
      jitter: "none",
    },
    // A receiver that takes its time holds up no other.
    limits: { key: (input) => input.webhook, concurrency: 8 },
    run: async (input, ctx) => (await import("./steps/deliver.ts")).deliver(input, ctx, parts),
  });
}
