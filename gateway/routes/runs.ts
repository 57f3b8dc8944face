import { Hono } from "hono";
import * as v from "valibot";
import { RUN_STATUSES } from "../../engine/index.ts";
import { accepted, runLinks } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idempotency, idempotencyKey } from "../idempotency.ts";
import { idParam } from "../ids.ts";
import { plainObject, readJson, readQuery } from "../json.ts";
import { pageQuery, priority, startTerms, tagName, termsOf } from "../schemas.ts";
import { traceOf } from "../trace.ts";

const startBody = v.strictObject({
  input: v.unknown(),
  metadata: v.optional(plainObject),
  priority,
  ...startTerms,
});

const rerunBody = v.strictObject({
  from: v.string(),
  input: v.optional(v.unknown()),
  newest: v.optional(v.boolean()),
});

const listQuery = v.strictObject({
  ...pageQuery,
  workflow: v.optional(v.string()),
  status: v.optional(v.picklist(RUN_STATUSES)),
  tag: v.optional(tagName),
});

/** Starting, seeing, cancelling, deleting and repeating runs. */
export function runRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();

  routes.post("/v1/workflows/:workflow/runs", async (c) => {
    const workflow = c.req.param("workflow");
    const key = idempotencyKey(c);
    const { value, bytes } = await readJson(c, startBody, limits);
    const started = await millrace.runs.start(workflow, value.input, {
      tenant: tenantOf(c),
      metadata: value.metadata,
      priority: value.priority,
      ...termsOf(value),
      ...traceOf(c),
      ...(await idempotency(key, "runs", [workflow, bytes])),
    });
    // Only a deduplication may make of two requests one run that the second would not expect.
    return accepted(c, started, value.dedupe === undefined ? {} : { created: started.created });
  });

  routes.get("/v1/runs", async (c) => {
    const query = readQuery(c, listQuery);
    return c.json(await millrace.runs.list({ tenant: tenantOf(c), ...query }));
  });

  routes.get("/v1/runs/:id", async (c) => c.json(await millrace.runs.get(idParam(c, "run"), { tenant: tenantOf(c) })));

  routes.post("/v1/runs/:id/cancel", async (c) => {
    const id = idParam(c, "run");
    await millrace.runs.cancel(id, { tenant: tenantOf(c) });
    return c.json({ id, links: runLinks(id) }, 202, { Location: runLinks(id).self });
  });

  routes.post("/v1/runs/:id/rerun", async (c) => {
    const id = idParam(c, "run");
    const key = idempotencyKey(c);
    const { value, bytes } = await readJson(c, rerunBody, limits);
    const same = await idempotency(key, "reruns", [id, bytes]);
    return accepted(c, await millrace.runs.rerun(id, { tenant: tenantOf(c), ...value, ...traceOf(c), ...same }));
  });

  routes.delete("/v1/runs/:id", async (c) => {
    await millrace.runs.delete(idParam(c, "run"), { tenant: tenantOf(c) });
    return c.body(null, 204);
  });

  return routes;
}
