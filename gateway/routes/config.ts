import { type Context, Hono } from "hono";
import * as v from "valibot";
import { CONFIG_KEY_PATTERN, type ConfigEntry, NotFoundError } from "../../engine/index.ts";
import { deploymentKey, MODELS } from "../../workflows/inference/deployments.ts";
import type { Env, Gateway } from "../context.ts";
import { readJson, readQuery } from "../json.ts";
import { pageQuery } from "../schemas.ts";

const listQuery = v.strictObject({ ...pageQuery, prefix: v.optional(v.pipe(v.string(), v.maxLength(128))) });
const putBody = v.strictObject({ value: v.unknown() });
const deploymentBody = v.strictObject({
  version: v.pipe(v.string(), v.minLength(1, "The version is empty."), v.maxLength(200)),
});
const DEFAULT_LIMIT = 20;

/** What every process is told: the configuration, and which version of a model is deployed. It is the same for all tenants. */
export function configRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const { config } = millrace;

  /** Asked of the store, so that a client reads what it wrote through another gateway. */
  const stored = async () => {
    await config.refresh();
    return config.all();
  };

  routes.get("/v1/config", async (c) => {
    const { limit = DEFAULT_LIMIT, cursor = "", prefix = "" } = readQuery(c, listQuery);
    const entries = [...(await stored()).values()].sort(byKey);
    const left = entries.filter(({ key }) => key > cursor && key.startsWith(prefix));
    const data = left.slice(0, limit);
    return c.json({ data, ...(left.length > limit ? { next: data[limit - 1]!.key } : {}) });
  });

  routes.get("/v1/config/:key", async (c) => {
    const key = keyParam(c);
    const entry = (await stored()).get(key);
    if (entry === undefined) throw new NotFoundError("configuration key", key);
    return c.json(entry);
  });

  routes.put("/v1/config/:key", async (c) => {
    const { value } = await readJson(c, putBody, limits);
    return c.json(await config.set(c.req.param("key"), value.value));
  });

  routes.delete("/v1/config/:key", async (c) => {
    const key = keyParam(c);
    if (!(await config.delete(key))) throw new NotFoundError("configuration key", key);
    return c.body(null, 204);
  });

  /** What is remembered of the model's answers goes last: if that fails, the caller does all of it again. */
  routes.post("/v1/models/:model/deployments", async (c) => {
    const model = c.req.param("model");
    const { value } = await readJson(c, deploymentBody, limits);
    const key = deploymentKey(model);
    const { updatedAt } = await config.set(key, value);
    await millrace.invalidate(MODELS, model);
    const self = `/v1/config/${encodeURIComponent(key)}`;
    return c.json({ model, ...value, deployedAt: updatedAt, links: { config: self } }, 201, { Location: self });
  });

  return routes;
}

/** @throws NotFoundError for one with odd characters: nothing can have it */
function keyParam(c: Context<Env>): string {
  const key = c.req.param("key") ?? "";
  if (!CONFIG_KEY_PATTERN.test(key)) throw new NotFoundError("configuration key", key.slice(0, 128));
  return key;
}

function byKey(a: ConfigEntry, b: ConfigEntry): number {
  return a.key < b.key ? -1 : 1;
}
