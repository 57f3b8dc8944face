import { Hono } from "hono";
import type { Env } from "../context.ts";
import { METRICS_TYPE } from "./registry.ts";

/** What a worker serves of itself: `/metrics`, `/livez`, and `/readyz`, which is 503 while its reads do not finish. */
export function metricsApp(text: () => string, isReady: () => boolean): Hono<Env> {
  return new Hono<Env>()
    .get("/metrics", (c) => c.body(text(), 200, { "Content-Type": METRICS_TYPE, "Cache-Control": "no-store" }))
    .get("/livez", (c) => c.json({ status: "ok" }))
    .get("/readyz", (c) => (isReady() ? c.json({ status: "ok" }) : c.json({ status: "unavailable" }, 503)));
}
