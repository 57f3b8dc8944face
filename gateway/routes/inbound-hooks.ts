import * as v from "valibot";
import { InvalidInputError } from "../../engine/index.ts";
import { DEFAULT_OVERLAP_MS, newSecret } from "../../workflows/webhooks/secrets.ts";
import { type Caller, demand } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { type InboundHook, inboundBody, inboundChange, secretOf } from "../inbound/hook.ts";
import { InboundHooks } from "../inbound/hooks.ts";
import { check } from "../json.ts";
import { overlap } from "../schemas.ts";
import { inboundHook, madeInboundHook, newSecretView } from "../views/webhooks.ts";

const rotation = v.strictObject({ secret: v.optional(v.string()), overlapMs: overlap });

/** Which messages of other services are taken, and what they do. */
export function inboundHookOperations(operations: Operations, { millrace }: Gateway): void {
  const hooks = new InboundHooks(millrace);
  const about = { tag: "Webhooks", scope: "webhooks:write" } as const;
  const read = { tag: "Webhooks", scope: "webhooks:read" } as const;
  const one = { 200: { description: "The inbound hook.", schema: inboundHook } };

  const checkAction = (caller: Caller, action: InboundHook["action"]) => {
    // Whoever has the secret may do it from then on.
    demand(caller, "start" in action ? "runs:write" : "signals:write");
    if (!("start" in action) || millrace.workflows.has(action.start)) return;
    const issue = { path: ["action", "start"], message: "There is no such workflow." };
    throw new InvalidInputError("The body does not fit.", [issue]);
  };

  operations
    .on(
      "post",
      "/v1/inbound-hooks",
      {
        ...about,
        id: "createInboundHook",
        summary: "Take messages of another service",
        description: "The answer has the secret if none was given. It is not shown again.",
        idempotent: "by-reply",
        body: inboundBody,
        answers: {
          201: { description: "It is there.", schema: madeInboundHook, headers: { Location: "The inbound hook." } },
        },
        problems: [409],
      },
      async ({ caller, body, draw, reply }) => {
        checkAction(caller, body.action);
        const made = await hooks.create(caller, body, draw);
        return reply(201, made, { Location: `/v1/inbound-hooks/${made.id}` });
      },
    )
    .on(
      "get",
      "/v1/inbound-hooks",
      {
        ...read,
        id: "listInboundHooks",
        summary: "List the inbound hooks, the oldest first",
        answers: { 200: { description: "All of them.", schema: v.strictObject({ data: v.array(inboundHook) }) } },
      },
      async ({ tenant, reply }) => reply(200, { data: await hooks.list(tenant) }),
    )
    .on(
      "get",
      "/v1/inbound-hooks/{id}",
      { ...read, id: "getInboundHook", summary: "See an inbound hook", answers: one },
      async ({ c, tenant, reply }) => reply(200, await hooks.get(tenant, idParam(c, "inbound hook"))),
    )
    .on(
      "patch",
      "/v1/inbound-hooks/{id}",
      {
        ...about,
        id: "changeInboundHook",
        summary: "Change what an inbound hook does",
        body: inboundChange,
        answers: one,
        problems: [409],
      },
      async ({ c, caller, body, reply }) => {
        if (body.action !== undefined) checkAction(caller, body.action);
        return reply(200, await hooks.update(caller, idParam(c, "inbound hook"), body));
      },
    )
    .on(
      "delete",
      "/v1/inbound-hooks/{id}",
      {
        ...about,
        id: "deleteInboundHook",
        summary: "Take no more messages by an inbound hook",
        answers: { 204: { description: "It is gone." } },
      },
      async ({ c, tenant }) => {
        await hooks.delete(tenant, idParam(c, "inbound hook"));
        return c.body(null, 204);
      },
    )
    .on(
      "post",
      "/v1/inbound-hooks/{id}/secret",
      {
        ...about,
        id: "rotateInboundSecret",
        summary: "Give an inbound hook another secret",
        description: "Without a secret in the body one is made. The one before is good for `overlapMs` more.",
        idempotent: "by-reply",
        body: rotation,
        bodyOptional: true,
        answers: { 200: { description: "The new secret, which is not shown again.", schema: newSecretView } },
        problems: [409],
      },
      async ({ c, caller, tenant, body, draw, reply }) => {
        const id = idParam(c, "inbound hook");
        const { scheme } = await hooks.get(tenant, id);
        const secret = body?.secret ?? newSecret(draw?.random);
        check(v.object({ secret: secretOf[scheme] }), { secret }, "body");
        await hooks.rotate(caller, id, secret, body?.overlapMs ?? DEFAULT_OVERLAP_MS);
        return reply(200, { secret });
      },
    );
}
