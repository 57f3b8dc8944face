import { Hono } from "hono";
import * as v from "valibot";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { readQuery } from "../json.ts";

const text = v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200)));
const query = v.strictObject({ key: text, workflow: text, from: text, to: text });

/** What was used, by day and workflow. */
export function usageRoutes({ millrace }: Gateway): Hono<Env> {
  return new Hono<Env>().get("/v1/usage", async (c) => {
    const asked = readQuery(c, query);
    return c.json(await millrace.usage({ tenant: tenantOf(c), ...asked }));
  });
}
