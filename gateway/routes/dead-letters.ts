import { Hono } from "hono";
import * as v from "valibot";
import { ConflictError, NotFoundError } from "../../engine/index.ts";
import { runLinks } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idParam } from "../ids.ts";
import { check, readJson } from "../json.ts";
import { pageQuery } from "../schemas.ts";

const filter = { workflow: v.optional(v.string()), step: v.optional(v.string()) };
const listQuery = v.strictObject({ ...pageQuery, ...filter });
const replayBody = v.strictObject({
  ...filter,
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100)), 100),
  cursor: pageQuery.cursor,
});

/** What failed for good: to be seen, resumed or dropped. */
export function deadLetterRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const { deadLetters } = millrace;

  routes.get("/v1/dead-letters", async (c) =>
    c.json(await deadLetters.list({ tenant: tenantOf(c), ...check(listQuery, c.req.query(), "query") })),
  );

  /** A page of them, the newest first; those after it are the next call's. */
  routes.post("/v1/dead-letters/replay", async (c) => {
    const tenant = tenantOf(c);
    const { value } = await readJson(c, replayBody, limits);
    const { data, next } = await deadLetters.list({ tenant, ...value });
    const replayed: { id: string; run: string; step: string }[] = [];
    for (const { id } of data) {
      try {
        replayed.push({ id, ...(await deadLetters.replay(id, { tenant })) });
      } catch (error) {
        // Somebody else replayed or dropped it in the meantime.
        if (!(error instanceof NotFoundError || error instanceof ConflictError)) throw error;
      }
    }
    return c.json({ data: replayed, next }, 202);
  });

  routes.post("/v1/dead-letters/:id/replay", async (c) => {
    const id = idParam(c, "dead letter");
    const { run, step } = await deadLetters.replay(id, { tenant: tenantOf(c) });
    return c.json({ id, run, step, links: runLinks(run) }, 202, { Location: runLinks(run).self });
  });

  routes.delete("/v1/dead-letters/:id", async (c) => {
    await deadLetters.discard(idParam(c, "dead letter"), { tenant: tenantOf(c) });
    return c.body(null, 204);
  });

  return routes;
}
