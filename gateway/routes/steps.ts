import { Hono } from "hono";
import * as v from "valibot";
import { hexDigest, ID_PATTERN } from "../../engine/index.ts";
import { runLinks } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idempotencyKey } from "../idempotency.ts";
import { idParam } from "../ids.ts";
import { readAnyJson, readQuery } from "../json.ts";
import { pageQuery } from "../schemas.ts";

const itemsQuery = v.strictObject(pageQuery);

/** What is said to the steps of a run, and seen of their items. */
export function stepRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();

  /** The body is what the signal brings; without one it brings null. */
  routes.post("/v1/runs/:id/signals/:name", async (c) => {
    const id = idParam(c, "run");
    const header = idempotencyKey(c);
    const data = await readAnyJson(c, limits);
    const key = header === undefined ? {} : { key: await signalKey(header) };
    await millrace.runs.signal(id, c.req.param("name"), data, { tenant: tenantOf(c), ...key });
    return c.json({ id, links: runLinks(id) }, 202, { Location: runLinks(id).self });
  });

  routes.get("/v1/runs/:id/steps/:name/items", async (c) => {
    const page = readQuery(c, itemsQuery);
    return c.json(await millrace.runs.items(idParam(c, "run"), c.req.param("name"), { tenant: tenantOf(c), ...page }));
  });

  return routes;
}

/** A signal's key is an id; whatever else a header may hold is told apart by its digest. */
async function signalKey(header: string): Promise<string> {
  return ID_PATTERN.test(header) ? header : hexDigest("SHA-256", header);
}
