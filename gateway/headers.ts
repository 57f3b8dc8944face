import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { isLoopback } from "./access/open-door.ts";
import type { Env } from "./context.ts";
import { isUpgrade } from "./live/upgrade.ts";
import { ProblemError, problemResponse } from "./problem.ts";

/** Of which origins pages may ask here: a list, each as `https://app.example.com`, or whichever are of this machine. */
export type Origins = readonly string[] | "loopback";

const GUARDS = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
};

/** What every reply tells a browser not to do with it. A reply that is for browsers says more itself. */
export const guards: MiddlewareHandler<Env> = (c, next) => {
  for (const [name, value] of Object.entries(GUARDS)) c.header(name, value);
  // A runtime may make up the address of a Host that is none, such as `.1`.
  if (!URL.canParse(c.req.url)) throw new ProblemError(400, "host", "The Host is not the name of one.");
  return next();
};

/** Lets pages of those origins ask and read the replies (https://fetch.spec.whatwg.org/#http-cors-protocol), and open sockets. */
export function origins(allowed: Origins): MiddlewareHandler<Env> {
  const isAllowed = (origin: string) =>
    allowed === "loopback" ? isLoopback(origin.replace(/^https?:\/\//i, "")) : allowed.includes(origin);
  const replying = cors({
    origin: (origin) => (isAllowed(origin) ? origin : null),
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    exposeHeaders: [
      ...[
        "Location",
        "Content-Location",
        "Link",
        "ETag",
        "Retry-After",
        "RateLimit",
        "RateLimit-Policy",
        "X-Request-Id",
      ],
      ...["Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Upload-Offset", "Upload-Length"],
      ...["Tus-Checksum-Algorithm", "Upload-Defer-Length", "Upload-Expires", "Upload-Metadata"],
      ...["Millrace-Document", "Millrace-Run", "Traceparent"],
    ],
    maxAge: 600,
  });
  return async (c, next) => {
    const origin = c.req.header("origin");
    if (origin === undefined) return next();
    // Of a socket a browser asks nobody, so that is for this side to see to.
    if (isUpgrade(c) && !isAllowed(origin) && !isOwn(c, origin)) return problemResponse(c, foreign(origin));
    // An OPTIONS that is no question of a browser's is a request like any other.
    if (c.req.method === "OPTIONS" && !isPreflight(c)) return next();
    return replying(c, next);
  };
}

/** Whether a page is this gateway's own, as browsers compare: by the host and the port that it was asked for at. */
function isOwn(c: Context<Env>, origin: string): boolean {
  return /^https?:\/\/(.+)$/i.exec(origin)?.[1]?.toLowerCase() === c.req.header("host")?.toLowerCase();
}

function isPreflight(c: Context<Env>): boolean {
  return c.req.header("access-control-request-method") !== undefined;
}

function foreign(origin: string): ProblemError {
  return new ProblemError(403, "origin", `Pages of ${origin.slice(0, 100)} may not open sockets here.`);
}
