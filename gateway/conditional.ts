import type { Context } from "hono";

/** For declarations of what can be asked for only if it has changed (RFC 9110, 13.1.2). */
export const NOT_AGAIN = { "If-None-Match": "The `ETag` of what is known: 304 if it is the same." };
export const TAGGED = { ETag: "Says which state of it this is." };
export const UNCHANGED = { description: "It is as the `ETag` says." };

/** What is asked for, with its tag; or 304 if the client has that already. */
export function ifChanged(c: Context, tag: string, reply: (headers: Record<string, string>) => Response): Response {
  const known = c.req.header("if-none-match");
  // Proxies that compress make a tag weak, and compared it is without that.
  const tags = known?.split(",").map((each) => each.trim().replace(/^W\//, "")) ?? [];
  if (!tags.includes(tag) && !tags.includes("*")) return reply({ ETag: tag });
  return c.body(null, 304, { ETag: tag });
}
