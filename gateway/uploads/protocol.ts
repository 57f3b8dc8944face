import type { Hono, MiddlewareHandler } from "hono";
import { methodOverride } from "hono/method-override";
import type { Env } from "../context.ts";
import { ProblemError } from "../problem.ts";

/** What of the tus protocol is spoken (https://tus.io/protocols/resumable-upload). */
export const TUS_VERSION = "1.0.0";
export const TUS_EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination";
export const TUS_ALGORITHMS = "sha1,sha256";

/** The type of bytes that go on with an upload. */
export const OFFSET_TYPE = "application/offset+octet-stream";

const OVERRIDE = "X-HTTP-Method-Override";

/**
 * What all requests of the protocol have in common: the version, which every answer carries too, and a method that a client
 * can only tell in a header.
 */
export function tusProtocol(app: Hono<Env>): MiddlewareHandler<Env> {
  const override = methodOverride({ app, header: OVERRIDE });
  return async (c, next) => {
    const { method } = c.req;
    const told = c.req.header(OVERRIDE);
    if (told !== undefined && !/^(?:PATCH|DELETE|HEAD|OPTIONS)$/.test(told))
      throw new ProblemError(400, "method_override", `${OVERRIDE} is one of PATCH, DELETE, HEAD and OPTIONS.`);
    // Links and pages of others send GET.
    if (told !== undefined && method === "GET")
      throw new ProblemError(400, "method_override", `${OVERRIDE} comes with a POST.`);
    const isTus = told !== undefined || (method !== "GET" && method !== "OPTIONS");
    if (isTus && told !== "OPTIONS" && c.req.header("tus-resumable") !== TUS_VERSION)
      throw new ProblemError(
        412,
        "tus_version",
        `Send Tus-Resumable: ${TUS_VERSION}; no other version is spoken here.`,
        {
          headers: { "Tus-Version": TUS_VERSION, "Tus-Resumable": TUS_VERSION },
        },
      );
    if (told === undefined) await next();
    else {
      const answer = await override(c, next);
      if (answer !== undefined) c.res = answer;
    }
    c.header("Tus-Resumable", TUS_VERSION);
  };
}
