import * as v from "valibot";
import { inferenceFields } from "../../workflows/inference/input.ts";
import { accepted, runLinks } from "../accepted.ts";
import { startFor } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idempotency } from "../idempotency.ts";
import { sseResponse } from "../live/sse.ts";
import { checkInference } from "../openai/models.ts";
import { priority } from "../schemas.ts";
import { acceptedRun } from "../views/common.ts";
import { runView } from "../views/runs.ts";
import { endsWithin } from "../waiting.ts";

const WORKFLOW = "inference";

const body = v.strictObject({ ...inferenceFields, priority });

/** A prompt or a conversation as a run of the workflow `inference`: its id at once, its events as they come, or its end if that is soon. */
export function inferenceOperations(operations: Operations, gateway: Gateway): void {
  const { millrace, limits } = gateway;

  operations.on(
    "post",
    "/v1/inference",
    {
      id: "infer",
      tag: "Models",
      summary: "Ask a model",
      description:
        "It is a run of the workflow `inference`. With `Prefer: wait=N` the answer is the run, if it ends in N seconds; with `Accept: text/event-stream` its events as they come.",
      scope: "runs:write",
      idempotent: "by-key",
      traced: true,
      body,
      headers: {
        Prefer: "`wait=N`: wait so many seconds for the run's end.",
        Accept: "`text/event-stream` for its events.",
      },
      answers: {
        200: { description: "The run, which has ended.", schema: runView, headers: { "Content-Location": "The run." } },
        202: {
          description: "The run is accepted.",
          schema: v.strictObject(acceptedRun),
          headers: { Location: "The run." },
        },
      },
      problems: [400, 409],
    },
    async ({ c, caller, tenant, body, bytes, key, trace, reply }) => {
      const { priority, ...input } = body;
      checkInference(input);
      const same = await idempotency(key, WORKFLOW, [bytes]);
      const started = await startFor(gateway, caller, () =>
        millrace.runs.start(WORKFLOW, input, { tenant, priority, ...trace, ...same }),
      );

      if (/\btext\/event-stream\b/i.test(c.req.header("accept") ?? ""))
        return sseResponse(c, gateway, started.id, { headers: { Location: runLinks(started.id).self } });
      const waitS = preferredWait(c.req.header("prefer"), limits.waitMs);
      if (waitS !== undefined && (await endsWithin(c, gateway, started.id, waitS * 1_000))) {
        const run = await millrace.runs.get(started.id, { tenant });
        return reply(200, run, {
          "Preference-Applied": `wait=${waitS}`,
          "Content-Location": runLinks(started.id).self,
        });
      }
      return accepted(c, started);
    },
  );
}

/** The seconds of `Prefer: wait=N` (RFC 7240), at most what is allowed; undefined without one. */
function preferredWait(prefer: string | undefined, maxMs: number): number | undefined {
  const match = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(prefer ?? "");
  return match === null ? undefined : Math.min(Number(match[1]), maxMs / 1_000);
}
