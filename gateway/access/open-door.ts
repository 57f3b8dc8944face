import { ProblemError } from "../problem.ts";
import { type Caller, type Door, FOR_EVER } from "./caller.ts";

const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Whether a host, with its port or without, is this machine. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

const EVERYBODY: Caller = {
  tenant: "default",
  name: "anybody",
  may: () => true,
  seesAll: true,
  mayWatch: () => true,
  hold: FOR_EVER,
};

/**
 * Everybody may do everything, as the tenant `default`: for a gateway that only this machine reaches. A browser on this machine
 * reaches it too, whatever page it shows, so a request has to be meant for a name of this machine, and come from no other page.
 */
export const openDoor: Door = {
  async admit(c) {
    const host = c.req.header("host") ?? new URL(c.req.url).host;
    if (!isLoopback(host))
      throw new ProblemError(
        403,
        "host",
        `Without keys this answers to localhost only, and not to ${host.slice(0, 100)}.`,
      );
    const origin = c.req.header("origin");
    if (origin !== undefined && !isLoopback(origin.replace(/^https?:\/\//i, "")))
      throw new ProblemError(403, "origin", `Pages of ${origin.slice(0, 100)} may not ask here.`);
    return EVERYBODY;
  },
};
