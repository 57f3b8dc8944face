import type { Context } from "hono";
import * as v from "valibot";
import { NAME_PATTERN, NotFoundError, type SubscriptionOptions } from "../../engine/index.ts";
import type { Operations } from "../api/operations.ts";
import type { Env, Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { pageQuery } from "../schemas.ts";
import { page } from "../views/common.ts";
import { replayedCount, resumed, subscription, undelivered } from "../views/operator.ts";

const names = v.optional(v.array(v.string()));
const putBody = v.strictObject({
  ...{ events: names, workflows: names, steps: names },
  tenant: v.optional(v.string()),
  maxBytes: v.optional(v.number()),
});

const SHARED = "Subscriptions are of the whole installation, and not of a tenant.";

/** The subscriptions of other services to the events of runs, for those who operate them. They are the same for all tenants. */
export function subscriptionOperations(operations: Operations, { millrace }: Gateway): void {
  const { subscriptions } = millrace;
  const about = { tag: "Subscriptions", scope: "admin", admin: true, description: SHARED } as const;
  const one = { 200: { description: "The subscription.", schema: subscription } };
  const many = { 202: { description: "They are waiting again.", schema: replayedCount } };

  operations
    .on(
      "get",
      "/v1/subscriptions",
      {
        ...about,
        id: "listSubscriptions",
        summary: "List subscriptions",
        answers: { 200: { description: "All of them.", schema: v.strictObject({ data: v.array(subscription) }) } },
      },
      async ({ reply }) => reply(200, { data: await subscriptions.list() }),
    )
    .on(
      "get",
      "/v1/subscriptions/{group}",
      { ...about, id: "getSubscription", summary: "See a subscription", answers: one },
      async ({ c, reply }) => reply(200, await subscriptions.get(groupParam(c))),
    )
    .on(
      "put",
      "/v1/subscriptions/{group}",
      {
        ...about,
        id: "putSubscription",
        summary: "Make a subscription, or change which events it takes",
        body: putBody,
        answers: one,
        problems: [409],
      },
      // What the engine does not take, it refuses.
      async ({ c, body, reply }) =>
        reply(200, await subscriptions.create({ ...body, group: c.req.param("group") } as SubscriptionOptions)),
    )
    .on(
      "delete",
      "/v1/subscriptions/{group}",
      {
        ...about,
        id: "deleteSubscription",
        summary: "Delete a subscription with the events that wait in it",
        answers: { 204: { description: "It is gone." } },
      },
      async ({ c }) => {
        await subscriptions.delete(groupParam(c));
        return c.body(null, 204);
      },
    )
    .on(
      "post",
      "/v1/subscriptions/{group}/resume",
      {
        ...about,
        id: "resumeSubscription",
        summary: "Let a subscription that is full take events again",
        idempotent: "always",
        answers: { 200: { description: "What it has missed.", schema: resumed } },
        problems: [409],
      },
      async ({ c, reply }) => reply(200, await subscriptions.resume(groupParam(c))),
    )
    .on(
      "get",
      "/v1/subscriptions/{group}/dead-letters",
      {
        ...about,
        id: "listUndelivered",
        summary: "List the events that could not be delivered",
        query: v.strictObject(pageQuery),
        answers: { 200: { description: "A page of events.", schema: page(undelivered) } },
      },
      async ({ c, query, reply }) => reply(200, await subscriptions.deadLetters(groupParam(c), query)),
    )
    .on(
      "post",
      "/v1/subscriptions/{group}/dead-letters/replay",
      {
        ...about,
        id: "replayUndelivered",
        summary: "Deliver all of them again",
        idempotent: "by-reply",
        answers: many,
      },
      async ({ c, reply }) => reply(202, { replayed: await subscriptions.replay(groupParam(c)) }),
    )
    .on(
      "post",
      "/v1/subscriptions/{group}/dead-letters/{id}/replay",
      {
        ...about,
        id: "replayOneUndelivered",
        summary: "Deliver one of them again",
        idempotent: "by-reply",
        answers: many,
      },
      async ({ c, reply }) =>
        reply(202, { replayed: await subscriptions.replay(groupParam(c), idParam(c, "dead letter")) }),
    )
    .on(
      "delete",
      "/v1/subscriptions/{group}/dead-letters/{id}",
      {
        ...about,
        id: "discardUndelivered",
        summary: "Drop one of them",
        answers: { 204: { description: "It is gone." } },
      },
      async ({ c }) => {
        await subscriptions.discard(groupParam(c), idParam(c, "dead letter"));
        return c.body(null, 204);
      },
    );
}

/** @throws NotFoundError for one with odd characters: nothing can have it */
function groupParam(c: Context<Env>): string {
  const group = c.req.param("group") ?? "";
  if (!NAME_PATTERN.test(group)) throw new NotFoundError("subscription", group.slice(0, 48));
  return group;
}
