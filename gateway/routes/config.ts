import type { Context } from "hono";
import * as v from "valibot";
import { CONFIG_KEY_PATTERN, type ConfigEntry, NotFoundError } from "../../engine/index.ts";
import { deploymentKey, MODELS } from "../../workflows/inference/deployments.ts";
import type { Operations } from "../api/operations.ts";
import type { Env, Gateway } from "../context.ts";
import { pageQuery } from "../schemas.ts";
import { page } from "../views/common.ts";
import { configEntry, deployment } from "../views/operator.ts";

const listQuery = v.strictObject({ ...pageQuery, prefix: v.optional(v.pipe(v.string(), v.maxLength(128))) });
const putBody = v.strictObject({ value: v.unknown() });
const deploymentBody = v.strictObject({
  version: v.pipe(v.string(), v.minLength(1, "The version is empty."), v.maxLength(200)),
});
const DEFAULT_LIMIT = 20;

/** What every process is told: the configuration, and which version of a model is deployed. It is the same for all tenants. */
export function configOperations(operations: Operations, { millrace }: Gateway): void {
  const { config } = millrace;

  /** Asked of the store, so that a client reads what it wrote through another gateway. */
  const stored = async () => {
    await config.refresh();
    return config.all();
  };

  operations
    .on(
      "get",
      "/v1/config",
      {
        id: "listConfig",
        tag: "Configuration",
        summary: "List the configuration by key",
        scope: "config:read",
        query: listQuery,
        answers: { 200: { description: "A page of entries.", schema: page(configEntry) } },
      },
      async ({ query: { limit = DEFAULT_LIMIT, cursor = "", prefix = "" }, reply }) => {
        const entries = [...(await stored()).values()].sort(byKey);
        const left = entries.filter(({ key }) => key > cursor && key.startsWith(prefix));
        const data = left.slice(0, limit);
        return reply(200, { data, ...(left.length > limit ? { next: data[limit - 1]!.key } : {}) });
      },
    )
    .on(
      "get",
      "/v1/config/{key}",
      {
        id: "getConfig",
        tag: "Configuration",
        summary: "See an entry of the configuration",
        scope: "config:read",
        answers: { 200: { description: "The entry.", schema: configEntry } },
      },
      async ({ c, reply }) => {
        const key = keyParam(c);
        const entry = (await stored()).get(key);
        if (entry === undefined) throw new NotFoundError("configuration key", key);
        return reply(200, entry);
      },
    )
    .on(
      "put",
      "/v1/config/{key}",
      {
        id: "putConfig",
        tag: "Configuration",
        summary: "Set an entry of the configuration, and tell every process",
        scope: "config:write",
        body: putBody,
        answers: { 200: { description: "The entry.", schema: configEntry } },
        problems: [409],
      },
      async ({ c, body, reply }) => reply(200, await config.set(c.req.param("key")!, body.value)),
    )
    .on(
      "delete",
      "/v1/config/{key}",
      {
        id: "deleteConfig",
        tag: "Configuration",
        summary: "Delete an entry of the configuration, and tell every process",
        scope: "config:write",
        answers: { 204: { description: "It is gone." } },
      },
      async ({ c }) => {
        const key = keyParam(c);
        if (!(await config.delete(key))) throw new NotFoundError("configuration key", key);
        return c.body(null, 204);
      },
    )
    .on(
      "post",
      "/v1/models/{model}/deployments",
      {
        id: "deployModel",
        tag: "Models",
        summary: "Say which version of a model is to answer from now on",
        scope: "config:write",
        body: deploymentBody,
        answers: {
          201: { description: "It is deployed.", schema: deployment, headers: { Location: "Where it is kept." } },
        },
      },
      // What is remembered of the model's answers goes last: if that fails, the caller does all of it again.
      async ({ c, body: value, reply }) => {
        const model = c.req.param("model")!;
        const key = deploymentKey(model);
        const { updatedAt } = await config.set(key, value);
        await millrace.invalidate(MODELS, model);
        const self = `/v1/config/${encodeURIComponent(key)}`;
        return reply(201, { model, ...value, deployedAt: updatedAt, links: { config: self } }, { Location: self });
      },
    );
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
