import type { Context } from "hono";
import { ID_PATTERN, NotFoundError } from "../engine/index.ts";
import type { Env } from "./context.ts";

/**
 * The id in a request's path.
 *
 * @param what it is the id of, for people
 * @throws NotFoundError for one with odd characters: nothing can have it
 */
export function idParam(c: Context<Env>, what: string): string {
  return checkId(c.req.param("id") ?? "", what);
}

export function checkId(id: string, what: string): string {
  if (!ID_PATTERN.test(id)) throw new NotFoundError(what, id.slice(0, 64));
  return id;
}
