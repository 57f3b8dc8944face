import type { Context } from "hono";
import * as v from "valibot";
import { MISSED_POLICIES, OVERLAP_POLICIES, type ScheduleOptions } from "../../engine/index.ts";
import { accepted } from "../accepted.ts";
import { startFor } from "../access/caller.ts";
import { runQuota } from "../access/key-limits.ts";
import type { Operations } from "../api/operations.ts";
import type { Env, Gateway } from "../context.ts";
import { idempotency } from "../idempotency.ts";
import { checkId } from "../ids.ts";
import { plainObject } from "../json.ts";
import { pageQuery, priority, startTerms } from "../schemas.ts";
import { acceptedRun, page } from "../views/common.ts";
import { scheduleSummary, scheduleView } from "../views/schedules.ts";

const scheduleBody = v.strictObject({
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
export function scheduleOperations(operations: Operations, gateway: Gateway): void {
  const { millrace } = gateway;
  const { schedules } = millrace;

  operations.on(
    "get",
    "/v1/schedules",
    {
      id: "listSchedules",
      tag: "Schedules",
      summary: "List schedules, the newest first",
      scope: "schedules:read",
      query: v.strictObject(pageQuery),
      answers: { 200: { description: "A page of schedules.", schema: page(scheduleSummary) } },
    },
    async ({ tenant, query, reply }) => reply(200, await schedules.list({ tenant, ...query })),
  );

  operations.on(
    "put",
    "/v1/schedules/{name}",
    {
      id: "putSchedule",
      tag: "Schedules",
      summary: "Make a schedule, or replace the one of that name",
      description: "One of `cron`, `every` and `at` says the times.",
      scope: "schedules:write",
      body: scheduleBody,
      answers: {
        200: { description: "It is replaced, or was the same.", schema: scheduleView },
        201: { description: "It is made.", schema: scheduleView, headers: { Location: "The schedule." } },
      },
    },
    async ({ c, caller, tenant, body, reply }) => {
      const name = c.req.param("name")!;
      // That one of the three ways to say the times is given is the engine's to check.
      const quota = runQuota(caller.limits);
      const options = { ...body, name, tenant, ...(quota === undefined ? {} : { quota }) } as ScheduleOptions;
      const { created, ...schedule } = await schedules.create(options);
      return created ? reply(201, schedule, { Location: `/v1/schedules/${name}` }) : reply(200, schedule);
    },
  );

  operations.on(
    "get",
    "/v1/schedules/{name}",
    {
      id: "getSchedule",
      tag: "Schedules",
      summary: "See a schedule",
      scope: "schedules:read",
      answers: { 200: { description: "The schedule.", schema: scheduleView } },
    },
    async ({ c, tenant, reply }) => reply(200, await schedules.get(nameOf(c), { tenant })),
  );

  operations.on(
    "delete",
    "/v1/schedules/{name}",
    {
      id: "deleteSchedule",
      tag: "Schedules",
      summary: "Delete a schedule; its runs stay",
      scope: "schedules:write",
      answers: { 204: { description: "It is gone." } },
    },
    async ({ c, tenant }) => {
      await schedules.delete(nameOf(c), { tenant });
      return c.body(null, 204);
    },
  );

  for (const verb of ["pause", "resume"] as const)
    operations.on(
      "post",
      `/v1/schedules/{name}/${verb}`,
      {
        id: `${verb}Schedule`,
        tag: "Schedules",
        summary: verb === "pause" ? "Pause a schedule" : "Let a schedule go on, with its next tick from now",
        scope: "schedules:write",
        idempotent: "always",
        answers: { 200: { description: "The schedule.", schema: scheduleView } },
        problems: [409],
      },
      async ({ c, tenant, reply }) => reply(200, await schedules[verb](nameOf(c), { tenant })),
    );

  operations.on(
    "post",
    "/v1/schedules/{name}/trigger",
    {
      id: "triggerSchedule",
      tag: "Schedules",
      summary: "Start a run of a schedule now",
      scope: "schedules:write",
      idempotent: "by-key",
      traced: true,
      answers: {
        202: {
          description: "The run is accepted.",
          schema: v.strictObject(acceptedRun),
          headers: { Location: "The run." },
        },
      },
      problems: [409, 422],
    },
    async ({ c, caller, tenant, key, trace }) => {
      const name = nameOf(c);
      const same = await idempotency(key, "schedules", [name]);
      return accepted(c, await startFor(gateway, caller, () => schedules.trigger(name, { tenant, ...trace, ...same })));
    },
  );
}

/** @throws NotFoundError for one with odd characters: no schedule can have it */
function nameOf(c: Context<Env>): string {
  return checkId(c.req.param("name") ?? "", "schedule");
}
