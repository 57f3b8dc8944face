import { Hono } from "hono";
import { sumErrors } from "../../engine/index.ts";
import type { Env, Gateway } from "../context.ts";

/**
 * Whether this process runs, and whether it can serve: the second asks Redis, and answers 503 while that is away. It also says
 * whether there are workers, without which runs are taken all the same and wait.
 */
export function healthRoutes({ millrace }: Gateway): Hono<Env> {
  return new Hono<Env>()
    .get("/livez", (c) => c.json({ status: "ok" }))
    .get("/readyz", async (c) => {
      const all = await millrace.workers();
      const alive = all.filter((worker) => worker.alive).length;
      return c.json({ status: "ok", workers: { alive, silent: all.length - alive }, readerErrors: sumErrors(all) });
    });
}
