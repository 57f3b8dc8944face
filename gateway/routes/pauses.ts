import { type Context, Hono } from "hono";
import type { Pausable } from "../../engine/index.ts";
import type { Env, Gateway } from "../context.ts";

/** Holding work back and letting it go on: of a workflow, a step, or a tenant. */
export function pauseRoutes({ millrace }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const workflow = (c: Context<Env>): Pausable => ({ workflow: c.req.param("workflow")! });
  const step = (c: Context<Env>): Pausable => ({ workflow: c.req.param("workflow")!, step: c.req.param("step")! });
  const tenant = (c: Context<Env>): Pausable => ({ tenant: c.req.param("tenant")! });

  const places = [
    ["/v1/workflows/:workflow", workflow],
    ["/v1/workflows/:workflow/steps/:step", step],
    ["/v1/tenants/:tenant", tenant],
  ] as const;
  for (const [path, what] of places) {
    routes.post(`${path}/pause`, async (c) => {
      await millrace.pause(what(c));
      return c.json({ ...what(c), paused: true });
    });
    routes.post(`${path}/resume`, async (c) => {
      await millrace.resume(what(c));
      return c.json({ ...what(c), paused: false });
    });
  }
  routes.get("/v1/paused", async (c) => c.json({ data: await millrace.paused() }));
  return routes;
}
