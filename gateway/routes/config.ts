import type { Context } from "hono";
import * as v from "valibot";
import { CONFIG_KEY_PATTERN, type ConfigEntry, NotFoundError } from "../../engine/index.ts";
import { deploymentKey, MODELS } from "../../workflows/inference/deployments.ts";
import type { Operations } from "../api/operations.ts";
import { ifChanged, NOT_AGAIN, TAGGED, UNCHANGED } from "../conditional.ts";
import type { Env, Gateway } from "../context.ts";
import { ProblemError } from "../problem.ts";
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
        headers: NOT_AGAIN,
        answers: { 200: { description: "The entry.", schema: configEntry, headers: TAGGED }, 304: UNCHANGED },
      },
      async ({ c, reply }) => {
        const key = keyParam(c);
        const entry = (await stored()).get(key);
        if (entry === undefined) throw new NotFoundError("configuration key", key);
        return ifChanged(c, tagOf(entry), (tag) => reply(200, entry, tag));
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
        admin: true,
        body: putBody,
        headers: {
          "If-Match": "Sets it only if it still has that `ETag`; `*`: only if it is there.",
          "If-None-Match": "`*`: sets it only if it is not there.",
        },
        answers: { 200: { description: "The entry.", schema: configEntry, headers: TAGGED } },
        problems: [400, 409, 412],
      },
      async ({ c, body, reply }) => {
        const entry = await config.set(c.req.param("key")!, body.value, { revision: wantedRevision(c) });
        return reply(200, entry, { ETag: tagOf(entry) });
      },
    )
    .on(
      "delete",
      "/v1/config/{key}",
      {
        id: "deleteConfig",
        tag: "Configuration",
        summary: "Delete an entry of the configuration, and tell every process",
        scope: "config:write",
        admin: true,
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
        admin: true,
        idempotent: "by-reply",
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

function tagOf({ revision }: ConfigEntry): string {
  return `"${revision}"`;
}

/** Which revision a change is for. @throws ProblemError 400 for what is no such condition */
function wantedRevision(c: Context<Env>): number | "*" | "-" | undefined {
  const [match, noneMatch] = [c.req.header("if-match")?.trim(), c.req.header("if-none-match")?.trim()];
  if (match === undefined && noneMatch === undefined) return undefined;
  if (match === undefined && noneMatch === "*") return "-";
  const [, revision] = /^"(\d{1,15})"$/.exec(match ?? "") ?? [];
  if (noneMatch === undefined && match === "*") return "*";
  if (noneMatch === undefined && revision !== undefined) return Number(revision);
  const detail = 'This takes If-Match with one ETag, as "12", or with *; or If-None-Match with *.';
  throw new ProblemError(400, "malformed_condition", detail);
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
