import type { Context } from "hono";
import * as v from "valibot";
import type { Pausable } from "../../engine/index.ts";
import type { Operations } from "../api/operations.ts";
import type { Env, Gateway } from "../context.ts";
import { paused, pausedNow } from "../views/operator.ts";

/** Holding work back and letting it go on: of a workflow, a step, or a tenant. */
export function pauseOperations(operations: Operations, { millrace }: Gateway): void {
  const workflow = (c: Context<Env>): Pausable => ({ workflow: c.req.param("workflow")! });
  const step = (c: Context<Env>): Pausable => ({ workflow: c.req.param("workflow")!, step: c.req.param("step")! });
  const tenant = (c: Context<Env>): Pausable => ({ tenant: c.req.param("tenant")! });

  const places = [
    ["/v1/workflows/{workflow}", "Workflow", workflow],
    ["/v1/workflows/{workflow}/steps/{step}", "Step", step],
    ["/v1/tenants/{tenant}", "Tenant", tenant],
  ] as const;
  for (const [path, name, what] of places)
    for (const verb of ["pause", "resume"] as const)
      operations.on(
        "post",
        `${path}/${verb}`,
        {
          id: `${verb}${name}`,
          tag: "Operating",
          summary: `${verb === "pause" ? "Hold back" : "Let go on"} the work of a ${name.toLowerCase()}`,
          scope: "admin",
          admin: true,
          idempotent: "always",
          answers: { 200: { description: "How it is now.", schema: pausedNow } },
          problems: [422],
        },
        async ({ c, reply }) => {
          await millrace[verb](what(c));
          return reply(200, { ...what(c), paused: verb === "pause" });
        },
      );

  operations.on(
    "get",
    "/v1/paused",
    {
      id: "listPaused",
      tag: "Operating",
      summary: "List what is paused",
      scope: "admin",
      admin: true,
      answers: { 200: { description: "All of it.", schema: v.strictObject({ data: v.array(paused) }) } },
    },
    async ({ reply }) => reply(200, { data: await millrace.paused() }),
  );
}
