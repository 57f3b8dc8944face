import { Hono } from "hono";
import type { Env, Gateway } from "../context.ts";

/** How much work waits, per step. */
export function queueRoutes({ millrace }: Gateway): Hono<Env> {
  return new Hono<Env>().get("/v1/queues", async (c) => c.json({ data: await millrace.queues() }));
}
