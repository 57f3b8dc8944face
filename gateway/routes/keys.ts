import * as v from "valibot";
import { lackedScopes, NotFoundError, SCOPES } from "../../engine/index.ts";
import type { Caller } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { ProblemError } from "../problem.ts";
import { date, pageQuery } from "../schemas.ts";
import { callerView, keyView, keyWithSecret } from "../views/access.ts";
import { id, page } from "../views/common.ts";

const whole = (least: number, most: number) => v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
const createBody = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  scopes: v.pipe(v.array(v.picklist(SCOPES)), v.minLength(1), v.maxLength(SCOPES.length)),
  tenant: v.optional(id),
  expiresAt: v.optional(date),
  rateLimit: v.optional(v.strictObject({ requests: whole(1, 1_000_000), windowMs: whole(1_000, 86_400_000) })),
  quota: v.optional(v.strictObject({ runsPerDay: v.optional(whole(1, 1_000_000_000)) })),
});
const rotateBody = v.strictObject({
  overlapMs: v.optional(whole(0, 2_592_000_000)),
  expiresAt: v.optional(date),
});
const listQuery = v.strictObject({ ...pageQuery, tenant: v.optional(id) });

/** The API keys of a tenant; who may do everything sees and makes those of all. */
export function keyOperations(operations: Operations, { millrace }: Gateway): void {
  const { keys } = millrace.access;
  const one = { 200: { description: "The key, without its secret.", schema: keyView } };

  operations
    .on(
      "get",
      "/v1/caller",
      {
        id: "getCaller",
        tag: "Access",
        summary: "See whose your key is, and what it may do",
        description: "Every key and token may ask this; where nobody needs one, it says what everybody may do.",
        scope: "known",
        answers: {
          200: { description: "The tenant, and every scope, those too that another one brings.", schema: callerView },
        },
      },
      ({ caller, tenant, reply }) =>
        reply(200, { tenant, scopes: SCOPES.filter((scope) => caller.may(scope)) }, { "Cache-Control": "no-store" }),
    )
    .on(
      "post",
      "/v1/keys",
      {
        id: "createKey",
        tag: "Access",
        summary: "Make a key",
        description:
          "Its secret is in this answer and nowhere else. Nobody makes a key that may do more than they may.",
        scope: "keys:write",
        admin: true,
        idempotent: "by-reply",
        body: createBody,
        answers: { 201: { description: "The key.", schema: keyWithSecret, headers: { Location: "The key." } } },
        problems: [409],
      },
      async ({ caller, body, draw, reply }) => {
        const { tenant = caller.tenant } = body;
        if (tenant !== caller.tenant && !caller.may("admin"))
          throw new ProblemError(403, "tenant", "Only a key with the scope admin may make keys of another tenant.");
        const lacked = lackedScopes(
          SCOPES.filter((scope) => caller.may(scope)),
          body.scopes,
        );
        if (lacked.length > 0) throw new ProblemError(403, "scope", `Your own key may not do ${lacked.join(", ")}.`);
        const made = await keys.create({ ...body, tenant }, draw);
        return reply(201, made, { Location: `/v1/keys/${made.id}`, "Cache-Control": "no-store" });
      },
    )
    .on(
      "get",
      "/v1/keys",
      {
        id: "listKeys",
        tag: "Access",
        summary: "List keys, the newest first",
        scope: "keys:read",
        admin: true,
        query: listQuery,
        answers: { 200: { description: "A page of keys, without their secrets.", schema: page(keyView) } },
      },
      async ({ caller, query, reply }) => reply(200, await keys.list({ ...query, ...about(caller, query.tenant) })),
    )
    .on(
      "get",
      "/v1/keys/{id}",
      { id: "getKey", tag: "Access", summary: "See a key", scope: "keys:read", admin: true, answers: one },
      async ({ c, caller, reply }) => reply(200, await keys.get(idParam(c, "key"), about(caller))),
    )
    .on(
      "post",
      "/v1/keys/{id}/rotate",
      {
        id: "rotateKey",
        tag: "Access",
        summary: "Give a key another secret",
        description: "The one before works for `overlapMs` more: a day, unless you say otherwise.",
        scope: "keys:write",
        admin: true,
        idempotent: "by-reply",
        body: rotateBody,
        bodyOptional: true,
        answers: { 200: { description: "The key with its new secret.", schema: keyWithSecret } },
        problems: [409],
      },
      async ({ c, caller, body, draw, reply }) => {
        const id = idParam(c, "key");
        await demandNoMore(caller, id);
        const rotated = await keys.rotate(id, { ...body, ...about(caller) }, draw);
        return reply(200, rotated, { "Cache-Control": "no-store" });
      },
    )
    .on(
      "delete",
      "/v1/keys/{id}",
      {
        id: "revokeKey",
        tag: "Access",
        summary: "Revoke a key",
        description: "It works no more, and what is open with it is closed, within 10 seconds.",
        scope: "keys:write",
        admin: true,
        answers: { 204: { description: "It is revoked." } },
      },
      async ({ c, caller }) => {
        await keys.revoke(idParam(c, "key"), about(caller));
        return c.body(null, 204);
      },
    );

  /** A new secret is a new way to do what the key may. */
  async function demandNoMore(caller: Caller, id: string): Promise<void> {
    const { scopes } = await keys.get(id, about(caller));
    const lacked = lackedScopes(
      SCOPES.filter((scope) => caller.may(scope)),
      scopes,
    );
    if (lacked.length > 0) throw new ProblemError(403, "scope", `Your own key may not do ${lacked.join(", ")}.`);
  }
}

/** Whose keys there are for a caller. @throws NotFoundError for another tenant's */
function about(caller: Caller, tenant?: string): { tenant?: string } {
  if (caller.may("admin")) return tenant === undefined ? {} : { tenant };
  if (tenant !== undefined && tenant !== caller.tenant) throw new NotFoundError("tenant", tenant);
  return { tenant: caller.tenant };
}
