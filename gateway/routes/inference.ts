import { Hono } from "hono";
import * as v from "valibot";
import { inferenceFields } from "../../workflows/inference/input.ts";
import { accepted, runLinks } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idempotency, idempotencyKey } from "../idempotency.ts";
import { readJson } from "../json.ts";
import { sseResponse } from "../live/sse.ts";
import { checkInference } from "../openai/models.ts";
import { priority } from "../schemas.ts";
import { endsWithin } from "../waiting.ts";

const WORKFLOW = "inference";

const body = v.strictObject({ ...inferenceFields, priority });

/** A prompt or a conversation as a run of the workflow `inference`: its id at once, its events as they come, or its end if that is soon. */
export function inferenceRoutes(gateway: Gateway): Hono<Env> {
  const { millrace, limits } = gateway;
  const routes = new Hono<Env>();

  routes.post("/v1/inference", async (c) => {
    const key = idempotencyKey(c);
    const { value, bytes } = await readJson(c, body, limits);
    const { priority, ...input } = value;
    checkInference(input);
    const tenant = tenantOf(c);
    const same = await idempotency(key, WORKFLOW, [bytes]);
    const started = await millrace.runs.start(WORKFLOW, input, { tenant, priority, ...same });

    if (/\btext\/event-stream\b/i.test(c.req.header("accept") ?? ""))
      return sseResponse(c, gateway, started.id, { headers: { Location: runLinks(started.id).self } });
    const waitS = preferredWait(c.req.header("prefer"), limits.waitMs);
    if (waitS !== undefined && (await endsWithin(c, gateway, started.id, waitS * 1_000))) {
      const run = await millrace.runs.get(started.id, { tenant });
      return c.json(run, 200, {
        "Preference-Applied": `wait=${waitS}`,
        "Content-Location": runLinks(started.id).self,
      });
    }
    return accepted(c, started);
  });

  return routes;
}

/** The seconds of `Prefer: wait=N` (RFC 7240), at most what is allowed; undefined without one. */
function preferredWait(prefer: string | undefined, maxMs: number): number | undefined {
  const match = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(prefer ?? "");
  return match === null ? undefined : Math.min(Number(match[1]), maxMs / 1_000);
}
