import { type Context, Hono } from "hono";
import * as v from "valibot";
import { NAME_PATTERN, NotFoundError, type SubscriptionOptions } from "../../engine/index.ts";
import type { Env, Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { readJson, readQuery } from "../json.ts";
import { pageQuery } from "../schemas.ts";

const names = v.optional(v.array(v.string()));
const putBody = v.strictObject({
  ...{ events: names, workflows: names, steps: names },
  tenant: v.optional(v.string()),
  maxBytes: v.optional(v.number()),
});
const listQuery = v.strictObject({});
const lettersQuery = v.strictObject(pageQuery);

/** The subscriptions of other services to the events of runs, for those who operate them. They are the same for all tenants. */
export function subscriptionRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const { subscriptions } = millrace;

  routes.get("/v1/subscriptions", async (c) => {
    readQuery(c, listQuery);
    return c.json({ data: await subscriptions.list() });
  });

  routes.get("/v1/subscriptions/:group", async (c) => c.json(await subscriptions.get(groupParam(c))));

  routes.put("/v1/subscriptions/:group", async (c) => {
    const { value } = await readJson(c, putBody, limits);
    // What the engine does not take, it refuses.
    return c.json(await subscriptions.create({ ...value, group: c.req.param("group") } as SubscriptionOptions));
  });

  routes.delete("/v1/subscriptions/:group", async (c) => {
    await subscriptions.delete(groupParam(c));
    return c.body(null, 204);
  });

  routes.post("/v1/subscriptions/:group/resume", async (c) => c.json(await subscriptions.resume(groupParam(c))));

  routes.get("/v1/subscriptions/:group/dead-letters", async (c) =>
    c.json(await subscriptions.deadLetters(groupParam(c), readQuery(c, lettersQuery))),
  );

  routes.post("/v1/subscriptions/:group/dead-letters/replay", async (c) =>
    c.json({ replayed: await subscriptions.replay(groupParam(c)) }, 202),
  );

  routes.post("/v1/subscriptions/:group/dead-letters/:id/replay", async (c) =>
    c.json({ replayed: await subscriptions.replay(groupParam(c), idParam(c, "dead letter")) }, 202),
  );

  routes.delete("/v1/subscriptions/:group/dead-letters/:id", async (c) => {
    await subscriptions.discard(groupParam(c), idParam(c, "dead letter"));
    return c.body(null, 204);
  });

  return routes;
}

/** @throws NotFoundError for one with odd characters: nothing can have it */
function groupParam(c: Context<Env>): string {
  const group = c.req.param("group") ?? "";
  if (!NAME_PATTERN.test(group)) throw new NotFoundError("subscription", group.slice(0, 48));
  return group;
}
