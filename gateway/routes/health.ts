import { Hono } from "hono";
import type { Env, Gateway } from "../context.ts";

/** Whether this process runs, and whether it can serve: the second asks Redis, and answers 503 while that is away. */
export function healthRoutes({ millrace }: Gateway): Hono<Env> {
  return new Hono<Env>()
    .get("/livez", (c) => c.json({ status: "ok" }))
    .get("/readyz", async (c) => {
      await millrace.ping();
      return c.json({ status: "ok" });
    });
}
