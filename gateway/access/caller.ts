import type { Context } from "hono";
import { NotFoundError, type Scope } from "../../engine/index.ts";
import type { Declaration } from "../api/declaration.ts";
import type { Env, Gateway } from "../context.ts";
import { ProblemError } from "../problem.ts";
import type { KeyLimits } from "./key-limits.ts";

/** Whose request this is, and what it may do. */
export interface Caller {
  /** Everything that a caller makes belongs to it, and nothing else is there for the caller. */
  readonly tenant: string;
  /** For logs: which key, subject or ticket, never its secret. */
  readonly name: string;
  /** Against whom its sockets count, if not itself: with a ticket, whose that is. */
  readonly holder?: string;
  /** The key that it came with, if it came with one. */
  readonly key?: { id: string; secretNumber: number };
  may(scope: Scope): boolean;
  /** Whether every run of the tenant is for this caller. */
  readonly seesAll: boolean;
  /** Whether a run is for this caller: to be watched, or to be sent a signal. */
  mayWatch(run: { id: string; workflow: string }): boolean;
  /** What its key may do how often, for what goes on doing it on the key's behalf. Undefined: there is no limit. */
  readonly limits?: KeyLimits | undefined;
  /** Starts a run, which counts against what the caller may start. Undefined: there is no such limit. */
  readonly counted?: (<T extends { created: boolean }>(start: () => Promise<T>) => Promise<T>) | undefined;
  /**
   * Counts one more request of the caller, for what it asks over a socket. Undefined: there is no such limit.
   *
   * @throws ProblemError 429 if it has asked too often
   */
  readonly asks?: () => Promise<void>;
  /** For what outlives the request: a signal that is aborted once the caller is no longer let in. Whoever holds it lets go of it. */
  hold(): { signal: AbortSignal; release(): void };
}

/** Who lets callers in. */
export interface Door {
  /**
   * @returns the caller of a request that may do what is declared
   * @throws ProblemError 401 for one that is not known, 403 for one that may not, 429 for one that asks too often
   */
  admit(c: Context<Env>, declaration: Declaration): Promise<Caller>;
}

/** What nobody can be put out of. */
export const FOR_EVER: Caller["hold"] = () => ({ signal: new AbortController().signal, release: () => {} });

/** What a request shows for itself in `Authorization: Bearer`; undefined for nothing that could be. */
export function bearerOf(c: Context<Env>): string | undefined {
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(c.req.header("authorization") ?? "")?.[1];
}

/** @throws ProblemError 403 if the caller may not do that */
export function demand(caller: Caller, scope: Scope): void {
  if (caller.may(scope)) return;
  throw new ProblemError(403, "scope", `This needs the scope ${scope}.`);
}

/** @throws NotFoundError if the run is not for this caller, as if it were not there */
export function demandRun(caller: Caller, run: { id: string; workflow: string }): void {
  if (!caller.mayWatch(run)) throw new NotFoundError("run", run.id);
}

/** @throws ProblemError 403 if not every run of the workflow, or of the tenant, is for this caller */
export function demandList(caller: Caller, workflow: string | undefined): void {
  if (caller.seesAll || (workflow !== undefined && caller.mayWatch({ id: "", workflow }))) return;
  throw new ProblemError(403, "ticket", "This ticket lists no other runs than those of a workflow that it is for.");
}

/** Starts a run for a caller, and counts it. @throws ProblemError 429 if the caller has started as many as it may */
export async function startFor<T extends { created: boolean; workflow: string }>(
  { metrics }: Gateway,
  caller: Pick<Caller, "counted">,
  start: () => Promise<T>,
): Promise<T> {
  const started = await (caller.counted === undefined ? start() : caller.counted(start));
  metrics.admitted(started.workflow, started.created);
  return started;
}
