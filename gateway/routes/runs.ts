import * as v from "valibot";
import { hexDigest, RUN_STATUSES } from "../../engine/index.ts";
import { accepted, runLinks } from "../accepted.ts";
import { demandList, demandRun, startFor } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import { ifChanged, NOT_AGAIN, TAGGED, UNCHANGED } from "../conditional.ts";
import type { Gateway } from "../context.ts";
import { idempotency } from "../idempotency.ts";
import { idParam } from "../ids.ts";
import { plainObject } from "../json.ts";
import { pageQuery, priority, startTerms, tagName, termsOf } from "../schemas.ts";
import { acceptedRun, page, toldRun } from "../views/common.ts";
import { runSummary, runView } from "../views/runs.ts";

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

const startedRun = v.strictObject({ ...acceptedRun, created: v.optional(v.boolean()) });

/** Starting, seeing, cancelling, deleting and repeating runs. */
export function runOperations(operations: Operations, gateway: Gateway): void {
  const { millrace } = gateway;
  operations.on(
    "post",
    "/v1/workflows/{workflow}/runs",
    {
      id: "startRun",
      tag: "Runs",
      summary: "Start a run",
      description:
        "The run is stored when this answers, at the durability that the answer names. With an `Idempotency-Key`, asking again with the same body gives the same run.",
      scope: "runs:write",
      idempotent: "by-key",
      traced: true,
      body: startBody,
      answers: { 202: { description: "The run is accepted.", schema: startedRun, headers: { Location: "The run." } } },
      problems: [409],
    },
    async ({ c, caller, tenant, body, bytes, key, trace }) => {
      const workflow = c.req.param("workflow")!;
      const options = {
        tenant,
        metadata: body.metadata,
        priority: body.priority,
        ...termsOf(body),
        ...trace,
        ...(await idempotency(key, "runs", [workflow, bytes])),
      };
      const started = await startFor(gateway, caller, () => millrace.runs.start(workflow, body.input, options));
      // Only a deduplication may make of two requests one run that the second would not expect.
      return accepted(c, started, body.dedupe === undefined ? {} : { created: started.created });
    },
  );

  operations.on(
    "get",
    "/v1/runs",
    {
      id: "listRuns",
      tag: "Runs",
      summary: "List runs, the newest first",
      description: "With a ticket, those of a `workflow` that this is for.",
      scope: "runs:read",
      ticket: "watch",
      query: listQuery,
      answers: { 200: { description: "A page of runs.", schema: page(runSummary) } },
    },
    async ({ caller, tenant, query, reply }) => {
      demandList(caller, query.workflow);
      return reply(200, await millrace.runs.list({ tenant, ...query }));
    },
  );

  operations.on(
    "get",
    "/v1/runs/{id}",
    {
      id: "getRun",
      tag: "Runs",
      summary: "See a run",
      scope: "runs:read",
      ticket: "watch",
      headers: NOT_AGAIN,
      answers: { 200: { description: "The run, with its steps.", schema: runView, headers: TAGGED }, 304: UNCHANGED },
    },
    async ({ c, caller, tenant, reply }) => {
      const run = await millrace.runs.get(idParam(c, "run"), { tenant });
      demandRun(caller, run);
      // Some of it changes without an event, such as what it has used and whether there is a worker for it.
      const digest = await hexDigest("SHA-256", JSON.stringify(run));
      return ifChanged(c, `"${run.seq}-${digest.slice(0, 16)}"`, (tag) => reply(200, run, tag));
    },
  );

  operations.on(
    "post",
    "/v1/runs/{id}/cancel",
    {
      id: "cancelRun",
      tag: "Runs",
      summary: "Cancel a run",
      scope: "runs:write",
      idempotent: "always",
      answers: {
        202: {
          description: "It is cancelled, or being undone first.",
          schema: toldRun,
          headers: { Location: "The run." },
        },
      },
      problems: [409],
    },
    async ({ c, tenant, reply }) => {
      const id = idParam(c, "run");
      await millrace.runs.cancel(id, { tenant });
      return reply(202, { id, links: runLinks(id) }, { Location: runLinks(id).self });
    },
  );

  operations.on(
    "post",
    "/v1/runs/{id}/rerun",
    {
      id: "rerunRun",
      tag: "Runs",
      summary: "Start a run that goes on from a step of this one",
      scope: "runs:write",
      idempotent: "by-key",
      traced: true,
      body: rerunBody,
      answers: {
        202: { description: "The new run is accepted.", schema: startedRun, headers: { Location: "The new run." } },
      },
      problems: [409],
    },
    async ({ c, caller, tenant, body, bytes, key, trace }) => {
      const id = idParam(c, "run");
      const same = await idempotency(key, "reruns", [id, bytes]);
      return accepted(
        c,
        await startFor(gateway, caller, () => millrace.runs.rerun(id, { tenant, ...body, ...trace, ...same })),
      );
    },
  );

  operations.on(
    "delete",
    "/v1/runs/{id}",
    {
      id: "deleteRun",
      tag: "Runs",
      summary: "Delete a run that has ended, with all that is stored of it",
      scope: "runs:write",
      answers: { 204: { description: "It is gone." } },
      problems: [409],
    },
    async ({ c, tenant }) => {
      await millrace.runs.delete(idParam(c, "run"), { tenant });
      return c.body(null, 204);
    },
  );
}
