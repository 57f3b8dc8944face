import * as v from "valibot";
import { NAME_PATTERN } from "../../engine/index.ts";
import { Deliveries } from "../../workflows/webhooks/deliveries.ts";
import { WEBHOOK_EVENTS } from "../../workflows/webhooks/messages.ts";
import { DEFAULT_OVERLAP_MS } from "../../workflows/webhooks/secrets.ts";
import { Webhooks } from "../../workflows/webhooks/webhooks.ts";
import { demand } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idempotency } from "../idempotency.ts";
import { checkId, idParam } from "../ids.ts";
import { overlap, pageQuery, tagName } from "../schemas.ts";
import { page } from "../views/common.ts";
import { delivery, madeWebhook, newSecretView, webhook } from "../views/webhooks.ts";

const url = v.string();
const events = v.pipe(
  v.array(v.picklist(WEBHOOK_EVENTS, `Some of ${WEBHOOK_EVENTS.join(", ")}.`)),
  v.minLength(1, "One event at least."),
  v.maxLength(WEBHOOK_EVENTS.length, "Each event once."),
);
const names = v.pipe(
  v.array(v.pipe(v.string(), v.regex(NAME_PATTERN, "1 to 48 of A-Z a-z 0-9 _ -"))),
  v.minLength(1, "One at least; without the field it is all."),
  v.maxLength(50),
);
const tags = v.pipe(v.array(tagName), v.minLength(1, "One at least; without the field it is all."), v.maxLength(50));
const description = v.pipe(v.string(), v.maxLength(500));

const createBody = v.strictObject({
  ...{ url, events, workflows: v.optional(names), tags: v.optional(tags) },
  description: v.optional(description),
  disabled: v.optional(v.boolean()),
});
const changeBody = v.strictObject({
  ...{ url: v.optional(url), events: v.optional(events), workflows: v.nullish(names), tags: v.nullish(tags) },
  description: v.nullish(description),
  disabled: v.optional(v.boolean()),
});
const rotation = v.strictObject({ overlapMs: overlap });

/** Whom a tenant tells of the events of its runs, and how that went. */
export function webhookOperations(operations: Operations, { millrace, webhooks: policy }: Gateway): void {
  const webhooks = new Webhooks(millrace, policy);
  const deliveries = new Deliveries(millrace);
  const write = { tag: "Webhooks", scope: "webhooks:write" } as const;
  const read = { tag: "Webhooks", scope: "webhooks:read" } as const;
  const one = { 200: { description: "The webhook.", schema: webhook } };
  const pending = { 202: { description: "The delivery, which is to come.", schema: delivery } };

  operations
    .on(
      "post",
      "/v1/webhooks",
      {
        ...write,
        id: "createWebhook",
        summary: "Have events posted to a URL",
        description: "The answer has the secret that messages are signed with. It is not shown again.",
        idempotent: "by-reply",
        body: createBody,
        answers: {
          201: {
            description: "It is told of every event from now on.",
            schema: madeWebhook,
            headers: { Location: "The webhook." },
          },
        },
        problems: [404, 409],
      },
      async ({ caller, tenant, body, draw, reply }) => {
        // What it is told, it may read.
        demand(caller, "runs:read");
        const made = await webhooks.create(tenant, body, draw);
        return reply(201, made, { Location: `/v1/webhooks/${made.id}` });
      },
    )
    .on(
      "get",
      "/v1/webhooks",
      {
        ...read,
        id: "listWebhooks",
        summary: "List the webhooks, the oldest first",
        answers: { 200: { description: "All of them.", schema: v.strictObject({ data: v.array(webhook) }) } },
      },
      async ({ tenant, reply }) => reply(200, { data: await webhooks.list(tenant) }),
    )
    .on(
      "get",
      "/v1/webhooks/{id}",
      { ...read, id: "getWebhook", summary: "See a webhook", answers: one },
      async ({ c, tenant, reply }) => reply(200, await webhooks.get(tenant, idParam(c, "webhook"))),
    )
    .on(
      "patch",
      "/v1/webhooks/{id}",
      {
        ...write,
        id: "changeWebhook",
        summary: "Change a webhook",
        description: "Fields that are left out stay; `null` takes one away.",
        body: changeBody,
        answers: one,
        problems: [409],
      },
      async ({ c, caller, tenant, body, reply }) => {
        demand(caller, "runs:read");
        return reply(200, await webhooks.update(tenant, idParam(c, "webhook"), body));
      },
    )
    .on(
      "delete",
      "/v1/webhooks/{id}",
      {
        ...write,
        id: "deleteWebhook",
        summary: "Delete a webhook",
        answers: { 204: { description: "It is gone, and what was still to be delivered is not." } },
      },
      async ({ c, tenant }) => {
        await webhooks.delete(tenant, idParam(c, "webhook"));
        return c.body(null, 204);
      },
    )
    .on(
      "post",
      "/v1/webhooks/{id}/secret",
      {
        ...write,
        id: "rotateWebhookSecret",
        summary: "Give a webhook another secret",
        description: "For `overlapMs` messages are signed by the one before as well.",
        idempotent: "by-reply",
        body: rotation,
        bodyOptional: true,
        answers: { 200: { description: "The new secret, which is not shown again.", schema: newSecretView } },
        problems: [409],
      },
      async ({ c, tenant, body, draw, reply }) => {
        const overlapMs = body?.overlapMs ?? DEFAULT_OVERLAP_MS;
        return reply(200, await webhooks.rotate(tenant, idParam(c, "webhook"), overlapMs, draw));
      },
    )
    .on(
      "post",
      "/v1/webhooks/{id}/test",
      {
        ...write,
        id: "testWebhook",
        summary: "Send a message of the type ping",
        idempotent: "by-key",
        answers: pending,
        problems: [409],
      },
      async ({ c, tenant, key, reply }) => {
        const { id } = await webhooks.get(tenant, idParam(c, "webhook"));
        const sent = await deliveries.ping(tenant, id, await idempotency(key, "webhook tests", [id]));
        return reply(202, await deliveries.get(tenant, id, sent));
      },
    )
    .on(
      "get",
      "/v1/webhooks/{id}/deliveries",
      {
        ...read,
        id: "listDeliveries",
        summary: "List what was delivered to a webhook, the newest first",
        query: v.strictObject(pageQuery),
        answers: { 200: { description: "A page of deliveries.", schema: page(delivery) } },
      },
      async ({ c, tenant, query, reply }) => {
        const { id } = await webhooks.get(tenant, idParam(c, "webhook"));
        return reply(200, await deliveries.list(tenant, id, query));
      },
    )
    .on(
      "post",
      "/v1/webhooks/{id}/deliveries/{delivery}/redeliver",
      {
        ...write,
        id: "redeliver",
        summary: "Deliver a message again",
        idempotent: "by-key",
        answers: pending,
        problems: [409],
      },
      async ({ c, tenant, key, reply }) => {
        const { id } = await webhooks.get(tenant, idParam(c, "webhook"));
        const first = checkId(c.req.param("delivery") ?? "", "delivery");
        const same = await idempotency(key, "redeliveries", [id, first]);
        return reply(202, await deliveries.get(tenant, id, await deliveries.redeliver(tenant, id, first, same)));
      },
    );
}
