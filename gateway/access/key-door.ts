import type { Context } from "hono";
import { type AccessApi, hasScope, ID_PATTERN, type Scope, type VerifiedKey } from "../../engine/index.ts";
import type { Declaration } from "../api/declaration.ts";
import type { Env } from "../context.ts";
import { ProblemError } from "../problem.ts";
import { bearerOf, type Caller, type Door, demand, FOR_EVER } from "./caller.ts";
import { holdKey } from "./held-keys.ts";
import { isJwt, type JwtVerifier } from "./jwt.ts";
import { counting, limitsOf, takeRate } from "./key-limits.ts";

const NOBODY: Caller = {
  tenant: "",
  name: "nobody",
  may: () => false,
  seesAll: false,
  mayWatch: () => false,
  hold: FOR_EVER,
};

/**
 * Lets in who has a key, a token of an issuer that is known, or, where that does, a ticket.
 *
 * @param jwt whose tokens are taken; default: nobody's
 */
export function keyDoor(access: AccessApi, { jwt }: { jwt?: JwtVerifier } = {}): Door {
  async function known(c: Context<Env>, declaration: Declaration): Promise<Caller> {
    const header = c.req.header("authorization");
    const ticket = declaration.ticket === undefined ? undefined : c.req.query("ticket");
    if (header === undefined && ticket !== undefined) return ofTicket(access, ticket);
    const secret = bearerOf(c);
    if (secret === undefined)
      throw unknown(
        header === undefined ? "Send a key: Authorization: Bearer mr_…" : "Send the key as Authorization: Bearer mr_…",
      );
    if (jwt !== undefined && isJwt(secret)) {
      const { subject, issuer, tenant, scopes, expiresAt } = await jwt.verify(secret);
      return { ...rights(tenant, scopes), name: `${issuer} ${subject ?? ""}`, hold: () => until(expiresAt) };
    }
    const key = await access.keys.verify(secret);
    if (key === undefined) throw unknown("This key does not work.");
    return ofKey(c, access, key);
  }

  return {
    async admit(c, declaration) {
      if (declaration.scope === "public") return NOBODY;
      const caller = asTenant(c, await known(c, declaration));
      if (declaration.scope !== "known")
        demand(caller, declaration.ticket === "signal" ? "signals:write" : declaration.scope);
      return caller;
    },
  };
}

async function ofKey(c: Context<Env>, access: AccessApi, key: VerifiedKey): Promise<Caller> {
  const limits = limitsOf(key);
  await takeRate(c, access, limits);
  return {
    ...rights(key.tenant, key.scopes),
    name: `key ${key.id}`,
    key,
    limits,
    ...(limits?.rateLimit === undefined ? {} : { asks: () => takeRate(undefined, access, limits) }),
    counted: counting(access, limits),
    hold: () => holdKey(access, key),
  };
}

async function ofTicket(access: AccessApi, text: string): Promise<Caller> {
  const ticket = await access.tickets.redeem(text);
  if (ticket === undefined) throw unknown("This ticket does not work: it holds once, and not for long.");
  const { tenant, runs, workflows, canSignal, key } = ticket;
  return {
    tenant,
    name: key === undefined ? "a ticket" : `a ticket of key ${key.id}`,
    ...(key === undefined ? {} : { holder: `key ${key.id}`, asks: () => asksForKey(access, key.id) }),
    may: (scope) => scope === "runs:read" || (scope === "signals:write" && canSignal),
    seesAll: false,
    mayWatch: ({ id, workflow }) => runs?.includes(id) === true || workflows?.includes(workflow) === true,
    hold: key === undefined ? FOR_EVER : () => holdKey(access, key),
  };
}

/** With a ticket more can be asked than its one request, at the cost of the key that it was asked for with. */
async function asksForKey(access: AccessApi, id: string): Promise<void> {
  await takeRate(undefined, access, limitsOf(await access.keys.get(id)));
}

function rights(tenant: string, scopes: readonly Scope[]) {
  return { tenant, may: (scope: Scope) => hasScope(scopes, scope), seesAll: true, mayWatch: () => true };
}

/** What is held until a time. */
function until(time: string): ReturnType<Caller["hold"]> {
  const ended = new AbortController();
  const left = Math.min(Math.max(0, Date.parse(time) - Date.now()), 2 ** 31 - 1);
  const timer = setTimeout(() => ended.abort("The token has expired."), left);
  return { signal: ended.signal, release: () => clearTimeout(timer) };
}

/** Who may do everything may do it as any tenant. */
function asTenant(c: Context<Env>, caller: Caller): Caller {
  const tenant = c.req.header("millrace-tenant");
  if (tenant === undefined || tenant === caller.tenant) return caller;
  if (!caller.may("admin")) throw new ProblemError(403, "tenant", "Only a key with the scope admin may name a tenant.");
  if (!ID_PATTERN.test(tenant)) throw new ProblemError(400, "tenant", "A tenant is 1 to 64 of A-Z a-z 0-9 _ -.");
  return { ...caller, tenant };
}

function unknown(detail: string): ProblemError {
  return new ProblemError(401, "unauthorized", detail, { headers: { "WWW-Authenticate": 'Bearer realm="millrace"' } });
}
