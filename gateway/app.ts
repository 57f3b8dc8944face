import { getLogger } from "@logtape/logtape";
import { type Context, Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import type { UpgradeWebSocket } from "hono/ws";
import type { Millrace } from "../engine/index.ts";
import type { WebhookPolicy } from "../workflows/webhooks/destinations.ts";
import type { Door } from "./access/caller.ts";
import { Operations } from "./api/operations.ts";
import type { Env, Gateway, Log } from "./context.ts";
import { guards, type Origins, origins } from "./headers.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { OpenCount } from "./live/open-count.ts";
import { Metrics } from "./metrics/metrics.ts";
import { observed } from "./metrics/observed.ts";
import { isOpenAiPath, openAiErrorResponse } from "./openai/errors.ts";
import type { RemoteModels } from "./openai/models.ts";
import { ProblemError, problemOf, problemResponse } from "./problem.ts";
import { apiOperations } from "./routes/api.ts";
import { configOperations } from "./routes/config.ts";
import { dashboardOperations } from "./routes/dashboard.ts";
import { deadLetterOperations } from "./routes/dead-letters.ts";
import { documentOperations } from "./routes/documents.ts";
import { eventOperations } from "./routes/events.ts";
import { figureOperations } from "./routes/figures.ts";
import { healthOperations } from "./routes/health.ts";
import { hookOperations } from "./routes/hooks.ts";
import { inboundHookOperations } from "./routes/inbound-hooks.ts";
import { inferenceOperations } from "./routes/inference.ts";
import { keyOperations } from "./routes/keys.ts";
import { metricsOperations } from "./routes/metrics.ts";
import { openAiOperations } from "./routes/openai.ts";
import { pauseOperations } from "./routes/pauses.ts";
import { presignedOperations } from "./routes/presigned.ts";
import { runOperations } from "./routes/runs.ts";
import { scheduleOperations } from "./routes/schedules.ts";
import { stepOperations } from "./routes/steps.ts";
import { subscriptionOperations } from "./routes/subscriptions.ts";
import { ticketOperations } from "./routes/tickets.ts";
import { uploadOperations } from "./routes/uploads.ts";
import { webhookOperations } from "./routes/webhooks.ts";
import { workflowOperations } from "./routes/workflows.ts";
import { traced } from "./trace.ts";
import { tusProtocol } from "./uploads/protocol.ts";

export type { Caller, Door } from "./access/caller.ts";
export { type JwtIdentity, type JwtSettings, type JwtVerifier, jwtVerifier } from "./access/jwt.ts";
export { keyDoor } from "./access/key-door.ts";
export { openDoor } from "./access/open-door.ts";

/** What a gateway works with. */
export interface AppDeps {
  millrace: Millrace;
  /** The runtime's own, by its entry. */
  upgradeWebSocket: UpgradeWebSocket;
  /** Who lets callers in: `keyDoor`, or `openDoor` for a gateway that only this machine reaches. */
  door: Door;
  /** Of which origins pages may ask, and open sockets. Default: none. */
  origins?: Origins;
  limits?: Partial<Limits>;
  /** Where webhooks may be sent beside public addresses: the same as in `webhookDelivery`. */
  webhooks?: WebhookPolicy;
  /** What the model server of the workers has. Without one, only the embedded models are taken. */
  remoteModels?: RemoteModels | undefined;
  /** Where its figures are counted, for a process that serves several apps. Default: by itself. */
  metrics?: Metrics;
  /** Which operations there are: `public` leaves out those that are for operators. Default: all. */
  serves?: "all" | "public";
  /** Whether `/metrics` is for everybody who reaches it. Default: for keys that may read the queues. */
  openMetrics?: boolean;
  log?: Log;
}

/** The HTTP and WebSocket front of Millrace, for whichever server calls its `fetch`. */
export function createApp(deps: AppDeps): Hono<Env> {
  const limits = { ...DEFAULT_LIMITS, ...deps.limits };
  const gateway: Gateway = {
    millrace: deps.millrace,
    upgradeWebSocket: deps.upgradeWebSocket,
    limits,
    open: new OpenCount(limits),
    webhooks: deps.webhooks ?? {},
    remoteModels: deps.remoteModels,
    metrics: deps.metrics ?? new Metrics(deps.millrace),
    log: deps.log ?? getLogger(["millrace", "gateway"]),
  };
  const app = new Hono<Env>();
  app.use(requestId());
  app.use(observed(gateway));
  app.use(guards);
  app.use(origins(deps.origins ?? []));
  app.use("/v1/*", traced());
  app.use("/v1/uploads/*", tusProtocol(app));
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        const allow = methods.join(", ");
        const detail = `${c.req.path} takes ${allow}.`;
        return answerTo(c, new ProblemError(405, undefined, detail, { headers: { Allow: allow } }));
      },
    }),
  );
  // Hono answers HEAD by the route of GET and drops the body: a file or a watcher behind it must be let go of.
  app.use(async (c, next) => {
    await next();
    if (c.req.method === "HEAD") await c.res.body?.cancel();
  });

  const operations = new Operations(deps.door, gateway, deps.serves ?? "all");
  runOperations(operations, gateway);
  stepOperations(operations, gateway);
  documentOperations(operations, gateway);
  presignedOperations(operations, gateway);
  uploadOperations(operations, gateway);
  inferenceOperations(operations, gateway);
  openAiOperations(operations, gateway);
  eventOperations(operations, gateway);
  deadLetterOperations(operations, gateway);
  scheduleOperations(operations, gateway);
  workflowOperations(operations, gateway);
  pauseOperations(operations, gateway);
  subscriptionOperations(operations, gateway);
  webhookOperations(operations, gateway);
  inboundHookOperations(operations, gateway);
  hookOperations(operations, gateway);
  configOperations(operations, gateway);
  figureOperations(operations, gateway);
  metricsOperations(operations, gateway, deps.openMetrics ?? false);
  healthOperations(operations, gateway);
  keyOperations(operations, gateway);
  ticketOperations(operations, gateway);
  apiOperations(operations);
  dashboardOperations(operations);
  app.route("/", operations.app);

  app.notFound((c) => answerTo(c, new ProblemError(404, undefined, `There is nothing at ${c.req.path}.`)));
  app.onError((error, c) => {
    const problem = problemOf(error);
    if (problem.status === 429 || problem.status === 503) gateway.metrics.refused(problem.status, problem.code);
    // What is waited for in vain because the client has left is nobody's failure.
    const hasLeft = problem.status === 504 && c.req.raw.signal.aborted;
    if (problem.status >= 500 && !hasLeft)
      gateway.log.error("{method} {path} failed: {error}", {
        requestId: c.get("requestId"),
        method: c.req.method,
        path: c.req.path,
        status: problem.status,
        error,
      });
    return answerTo(c, problem);
  });
  return app;
}

/** An error in the words of whoever asks on this path. */
function answerTo(c: Context, problem: ProblemError): Response {
  return isOpenAiPath(c.req.path) ? openAiErrorResponse(c, problem) : problemResponse(c, problem);
}
