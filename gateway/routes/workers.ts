import { Hono } from "hono";
import type { Env, Gateway } from "../context.ts";

/** Who does the work, and how their reads are doing. */
export function workerRoutes({ millrace }: Gateway): Hono<Env> {
  return new Hono<Env>().get("/v1/workers", async (c) => c.json({ data: await millrace.workers() }));
}
