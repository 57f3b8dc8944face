import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import type { UpgradeWebSocket } from "hono/ws";
import type { Millrace } from "../engine/index.ts";
import type { Env, Gateway, Log } from "./context.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { ProblemError, problemOf, problemResponse } from "./problem.ts";
import { configRoutes } from "./routes/config.ts";
import { deadLetterRoutes } from "./routes/dead-letters.ts";
import { documentRoutes } from "./routes/documents.ts";
import { eventRoutes } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { inferenceRoutes } from "./routes/inference.ts";
import { pauseRoutes } from "./routes/pauses.ts";
import { presignedRoutes } from "./routes/presigned.ts";
import { queueRoutes } from "./routes/queues.ts";
import { runRoutes } from "./routes/runs.ts";
import { scheduleRoutes } from "./routes/schedules.ts";
import { stepRoutes } from "./routes/steps.ts";
import { subscriptionRoutes } from "./routes/subscriptions.ts";
import { usageRoutes } from "./routes/usage.ts";
import { workerRoutes } from "./routes/workers.ts";
import { workflowRoutes } from "./routes/workflows.ts";

export interface AppDeps {
  millrace: Millrace;
  /** The runtime's own, by its entry. */
  upgradeWebSocket: UpgradeWebSocket;
  limits?: Partial<Limits>;
  log?: Log;
}

/** The HTTP and WebSocket front of Millrace, for whichever server calls its `fetch`. */
export function createApp(deps: AppDeps): Hono<Env> {
  const gateway: Gateway = {
    millrace: deps.millrace,
    upgradeWebSocket: deps.upgradeWebSocket,
    limits: { ...DEFAULT_LIMITS, ...deps.limits },
    log: deps.log ?? getLogger(["millrace", "gateway"]),
  };
  const app = new Hono<Env>();
  app.use(requestId());
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        const allow = methods.join(", ");
        const detail = `${c.req.path} takes ${allow}.`;
        return problemResponse(c, new ProblemError(405, undefined, detail, { headers: { Allow: allow } }));
      },
    }),
  );
  // Hono answers HEAD by the route of GET and drops the body: a file or a watcher behind it must be let go of.
  app.use(async (c, next) => {
    await next();
    if (c.req.method === "HEAD") await c.res.body?.cancel();
  });

  app.route("/", runRoutes(gateway));
  app.route("/", stepRoutes(gateway));
  app.route("/", documentRoutes(gateway));
  app.route("/", presignedRoutes(gateway));
  app.route("/", inferenceRoutes(gateway));
  app.route("/", eventRoutes(gateway));
  app.route("/", deadLetterRoutes(gateway));
  app.route("/", scheduleRoutes(gateway));
  app.route("/", queueRoutes(gateway));
  app.route("/", workerRoutes(gateway));
  app.route("/", usageRoutes(gateway));
  app.route("/", workflowRoutes(gateway));
  app.route("/", pauseRoutes(gateway));
  app.route("/", subscriptionRoutes(gateway));
  app.route("/", configRoutes(gateway));
  app.route("/", healthRoutes(gateway));

  app.notFound((c) => problemResponse(c, new ProblemError(404, undefined, `There is nothing at ${c.req.path}.`)));
  app.onError((error, c) => {
    const problem = problemOf(error);
    if (problem.status >= 500)
      gateway.log.error("{method} {path} failed: {error}", {
        requestId: c.get("requestId"),
        method: c.req.method,
        path: c.req.path,
        status: problem.status,
        error,
      });
    return problemResponse(c, problem);
  });
  return app;
}
