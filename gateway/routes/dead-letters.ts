import { type Context, Hono } from "hono";
import * as v from "valibot";
import type { OperationView } from "../../engine/index.ts";
import { runLinks } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idParam } from "../ids.ts";
import { readJson, readQuery } from "../json.ts";
import { pageQuery } from "../schemas.ts";

const time = v.pipe(
  v.string(),
  v.isoTimestamp("A time in ISO 8601, such as 2026-01-31T12:00:00.000Z."),
  v.transform((text) => new Date(text)),
);
const filter = {
  workflow: v.optional(v.string()),
  step: v.optional(v.string()),
  errorCode: v.optional(v.string()),
  before: v.optional(time),
  after: v.optional(time),
};
const listQuery = v.strictObject({ ...pageQuery, ...filter });
const manyBody = v.strictObject({ ...filter, limit: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))) });
const replayBody = v.strictObject({ input: v.optional(v.unknown()) });

/** What failed for good: to be seen, resumed or dropped, one or many. */
export function deadLetterRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const { deadLetters } = millrace;

  routes.get("/v1/dead-letters", async (c) =>
    c.json(await deadLetters.list({ tenant: tenantOf(c), ...readQuery(c, listQuery) })),
  );

  routes.post("/v1/dead-letters/replay", async (c) => {
    const { limit, ...wanted } = (await readJson(c, manyBody, limits)).value;
    return underWay(c, await deadLetters.replayMany(wanted, { tenant: tenantOf(c), limit }));
  });

  routes.post("/v1/dead-letters/discard", async (c) => {
    const { limit, ...wanted } = (await readJson(c, manyBody, limits)).value;
    return underWay(c, await deadLetters.discardMany(wanted, { tenant: tenantOf(c), limit }));
  });

  routes.get("/v1/dead-letters/operations/:id", async (c) =>
    c.json(await deadLetters.operation(idParam(c, "operation"), { tenant: tenantOf(c) })),
  );

  routes.get("/v1/dead-letters/:id", async (c) =>
    c.json(await deadLetters.get(idParam(c, "dead letter"), { tenant: tenantOf(c) })),
  );

  routes.post("/v1/dead-letters/:id/replay", async (c) => {
    const id = idParam(c, "dead letter");
    // Without a body it is replayed as it is.
    const isBare = c.req.header("content-type") === undefined || c.req.header("content-length") === "0";
    const changed = isBare ? {} : (await readJson(c, replayBody, limits)).value;
    const { run, step } = await deadLetters.replay(id, { tenant: tenantOf(c), ...changed });
    return c.json({ id, run, step, links: runLinks(run) }, 202, { Location: runLinks(run).self });
  });

  routes.delete("/v1/dead-letters/:id", async (c) => {
    await deadLetters.discard(idParam(c, "dead letter"), { tenant: tenantOf(c) });
    return c.body(null, 204);
  });

  return routes;
}

function underWay(c: Context<Env>, operation: OperationView): Response {
  const self = `/v1/dead-letters/operations/${operation.id}`;
  return c.json({ ...operation, links: { self } }, 202, { Location: self });
}
