import { type Context, Hono } from "hono";
import * as v from "valibot";
import { MISSED_POLICIES, OVERLAP_POLICIES, type ScheduleOptions } from "../../engine/index.ts";
import { accepted } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idempotency, idempotencyKey } from "../idempotency.ts";
import { checkId } from "../ids.ts";
import { plainObject, readJson, readQuery } from "../json.ts";
import { pageQuery, priority, startTerms } from "../schemas.ts";
import { traceOf } from "../trace.ts";

const listQuery = v.strictObject(pageQuery);

const body = v.strictObject({
  workflow: v.string(),
  input: v.unknown(),
  cron: v.optional(v.string()),
  timeZone: v.optional(v.string()),
  every: v.optional(v.number()),
  at: v.optional(v.string()),
  overlap: v.optional(v.picklist(OVERLAP_POLICIES)),
  missed: v.optional(v.picklist(MISSED_POLICIES)),
  jitterMs: v.optional(v.number()),
  metadata: v.optional(plainObject),
  priority,
  tags: startTerms.tags,
});

/** Runs that start by the clock. */
export function scheduleRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const { schedules } = millrace;

  routes.get("/v1/schedules", async (c) =>
    c.json(await schedules.list({ tenant: tenantOf(c), ...readQuery(c, listQuery) })),
  );

  routes.put("/v1/schedules/:name", async (c) => {
    const { value } = await readJson(c, body, limits);
    const name = c.req.param("name");
    // That one of the three ways to say the times is given is the engine's to check.
    const options = { ...value, name, tenant: tenantOf(c) } as ScheduleOptions;
    const { created, ...schedule } = await schedules.create(options);
    return created ? c.json(schedule, 201, { Location: `/v1/schedules/${name}` }) : c.json(schedule);
  });

  routes.get("/v1/schedules/:name", async (c) => c.json(await schedules.get(nameOf(c), { tenant: tenantOf(c) })));

  routes.delete("/v1/schedules/:name", async (c) => {
    await schedules.delete(nameOf(c), { tenant: tenantOf(c) });
    return c.body(null, 204);
  });

  routes.post("/v1/schedules/:name/pause", async (c) =>
    c.json(await schedules.pause(nameOf(c), { tenant: tenantOf(c) })),
  );

  routes.post("/v1/schedules/:name/resume", async (c) =>
    c.json(await schedules.resume(nameOf(c), { tenant: tenantOf(c) })),
  );

  routes.post("/v1/schedules/:name/trigger", async (c) => {
    const name = nameOf(c);
    const same = await idempotency(idempotencyKey(c), "schedules", [name]);
    return accepted(c, await schedules.trigger(name, { tenant: tenantOf(c), ...traceOf(c), ...same }));
  });

  return routes;
}

/** @throws NotFoundError for one with odd characters: no schedule can have it */
function nameOf(c: Context<Env>): string {
  return checkId(c.req.param("name") ?? "", "schedule");
}
