import type { Context } from "hono";
import type { Declaration } from "../api/declaration.ts";
import type { Env } from "../context.ts";
import { ProblemError } from "../problem.ts";

/** What a caller may be allowed to do. `admin` is all of it. */
export const SCOPES = [
  ...(["runs:read", "runs:write", "signals:write", "documents:read", "documents:write"] as const),
  ...(["dead-letters:read", "dead-letters:write", "schedules:read", "schedules:write", "queues:read"] as const),
  ...(["config:read", "config:write", "usage:read", "webhooks:read", "webhooks:write"] as const),
  ...(["keys:read", "keys:write", "admin"] as const),
];
export type Scope = (typeof SCOPES)[number];

/** Whose request this is, and what it may do. */
export interface Caller {
  /** Everything that a caller makes belongs to it, and nothing else is there for the caller. */
  readonly tenant: string;
  /** For logs: which key, subject or ticket, never its secret. */
  readonly name: string;
  may(scope: Scope): boolean;
  /** Whether the events of a run are for this caller. */
  mayWatch(run: { id: string; workflow: string }): boolean;
  /** Aborted once the caller is no longer let in: sockets and streams close then. */
  readonly signal?: AbortSignal;
}

/** Who lets callers in. */
export interface Door {
  /**
   * @returns the caller of a request that may do what is declared
   * @throws ProblemError 401 for one that is not known, 403 for one that may not, 429 for one that asks too often
   */
  admit(c: Context<Env>, declaration: Declaration): Promise<Caller>;
}

/** Everybody may do everything, as the tenant `default`: for a gateway that only this machine reaches. */
export const openDoor: Door = {
  admit: async () => EVERYBODY,
};

const EVERYBODY: Caller = { tenant: "default", name: "anybody", may: () => true, mayWatch: () => true };

/** @throws ProblemError 403 if the caller may not do that */
export function demand(caller: Caller, scope: Scope): void {
  if (caller.may(scope)) return;
  throw new ProblemError(403, "scope", `This needs the scope ${scope}.`);
}
