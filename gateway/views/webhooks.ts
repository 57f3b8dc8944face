import * as v from "valibot";
import { acceptedRun, count, id, time, toldRun } from "./common.ts";

const names = v.array(v.string());

const shown = {
  id,
  url: v.string(),
  events: names,
  workflows: v.optional(names),
  tags: v.optional(names),
  description: v.optional(v.string()),
  disabled: v.optional(v.boolean()),
  gone: v.optional(v.boolean()),
  createdAt: time,
  updatedAt: time,
};

/** A webhook. Its secret is not shown. */
export const webhook = v.strictObject(shown);
/** A webhook that was just made. */
export const madeWebhook = v.strictObject({ ...shown, secret: v.string() });
/** A new secret, which is not shown again. */
export const newSecretView = v.strictObject({ secret: v.string() });

const delivered = {
  id,
  message: v.string(),
  type: v.string(),
  status: v.picklist(["pending", "delivered", "failed", "skipped"]),
  attempts: count,
  createdAt: time,
  endedAt: v.optional(time),
  response: v.optional(v.strictObject({ status: v.number(), durationMs: count, body: v.string() })),
  error: v.optional(v.strictObject({ code: v.optional(v.string()), message: v.string() })),
};
/** A delivery in the log of its webhook. */
export const delivery = v.strictObject(delivered);

const inbound = {
  id,
  scheme: v.picklist(["standard-webhooks", "hmac-sha256"]),
  signature: v.optional(
    v.strictObject({
      header: v.string(),
      prefix: v.optional(v.string()),
      encoding: v.optional(v.picklist(["hex", "base64"])),
      timestamped: v.optional(v.boolean()),
    }),
  ),
  messageId: v.optional(v.union([v.strictObject({ header: v.string() }), v.strictObject({ path: v.string() })])),
  action: v.union([
    v.strictObject({ start: v.string(), headers: v.optional(names) }),
    v.strictObject({ signal: v.string(), runFrom: v.string() }),
  ]),
  description: v.optional(v.string()),
  disabled: v.optional(v.boolean()),
  createdAt: time,
  updatedAt: time,
  links: v.strictObject({ receive: v.string() }),
};
/** An inbound hook. Its secret is not shown. */
export const inboundHook = v.strictObject(inbound);
/** An inbound hook that was just made, with its secret if that was made here. */
export const madeInboundHook = v.strictObject({ ...inbound, secret: v.optional(v.string()) });

/** What a message has come to: the run that it has started, or has sent a signal to. */
export const receivedView = v.union([v.strictObject(acceptedRun), toldRun]);
