import type { Caller } from "../access/caller.ts";
import type { Gateway } from "../context.ts";
import { ProblemError } from "../problem.ts";

/** @throws ProblemError 429 if there are as many sockets and event streams as there may be, of this process or of this key */
export function demandRoom({ metrics, limits }: Gateway, caller: Caller): void {
  const { all, ofCaller } = metrics.openOf(holderOf(caller));
  const headers = { "Retry-After": "10" };
  if (ofCaller >= limits.socketsPerKey)
    throw new ProblemError(
      429,
      "too_many_sockets",
      `One key has ${limits.socketsPerKey} sockets and event streams here at the most.`,
      { headers },
    );
  if (all >= limits.sockets)
    throw new ProblemError(429, "too_many_sockets", "There are as many sockets and event streams here as can be.", {
      headers,
    });
}

/** Against whom a socket counts. */
export function holderOf({ holder, name }: Caller): string {
  return holder ?? name;
}
