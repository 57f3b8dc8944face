import type { Hono } from "hono";
import { openEdgeBlobs } from "../../engine/edge-blobs.ts";
import { type AnyWorkflow, connect, type Millrace, parseBlobsUrl } from "../../engine/index.ts";
import { serverOf } from "../../workflows/inference/server.ts";
import { webhookDelivery } from "../../workflows/webhooks/workflow.ts";
import { jwtVerifier } from "../access/jwt.ts";
import { keyDoor } from "../access/key-door.ts";
import { type AppDeps, createApp } from "../app.ts";
import type { Env } from "../context.ts";
import { logToConsole } from "../edge/logging.ts";
import { upgrade } from "../edge/upgrade.ts";
import { lateUpgrades } from "../late-upgrades.ts";
import { openSockets } from "../open-sockets.ts";
import { type Environment, type GatewaySettings, readGatewaySettings, SettingError } from "../settings.ts";

export interface EdgeOptions {
  /** Whose runs can be started: the definitions, of which the graphs and the schemas are used. Their handlers are the workers'. */
  workflows: readonly AnyWorkflow[];
  /** Makes what is served of what the bindings say, for limits or routes of one's own. Default: `createApp`. */
  makeApp?: (deps: AppDeps) => Hono<Env>;
}

/** What a Worker is given: the variables of a gateway, and the object that serves. */
export interface EdgeBindings {
  MILLRACE_GATEWAY?: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
  [name: string]: unknown;
}

/** What the module of a Worker exports: the class of its Durable Object by that name, and `worker` as its default. */
export interface EdgeGateway {
  MillraceGateway: new (state: unknown, bindings: EdgeBindings) => { fetch(request: Request): Promise<Response> };
  worker: { fetch(request: Request, bindings: EdgeBindings): Promise<Response> };
}

/**
 * Connects as the bindings say, and gives what answers requests.
 *
 * @throws SettingError, MillraceError
 */
export async function startEdge(
  { workflows, makeApp = createApp }: EdgeOptions,
  bindings: EdgeBindings,
): Promise<(request: Request) => Promise<Response>> {
  const env = textsOf(bindings);
  const settings = readGatewaySettings(env);
  logToConsole(settings.logLevel);
  const { jwt, origins, webhooks } = settings;
  const access = jwt === undefined ? {} : { jwt: jwtVerifier([jwt]) };
  const remoteModels = serverOf(env);
  const millrace = await open(workflows, settings, env);
  const { upgradeWebSocket, answer } = lateUpgrades(upgrade);
  const app = makeApp({
    ...{ millrace, origins, webhooks, remoteModels, door: keyDoor(millrace.access, access) },
    upgradeWebSocket: openSockets(upgradeWebSocket).upgradeWebSocket,
  });
  return (request) => answer(request, app.fetch(request));
}

async function open(
  workflows: readonly AnyWorkflow[],
  { redisUrl: url, namespace, durability, webhooks, ...settings }: GatewaySettings,
  env: Environment,
): Promise<Millrace> {
  if (url === undefined)
    throw new SettingError("REDIS_URL is not set, for example to rediss://USER:PASSWORD@HOST:6379.");
  const place = placeOf(settings.blobs);
  const { blobs, close } = await openEdgeBlobs(place, { env, redis: { url, namespace } });
  try {
    let millrace: Millrace;
    const delivery = webhookDelivery({ millrace: () => millrace, policy: webhooks });
    millrace = await connect({ url, namespace, durability, blobs, workflows: [...workflows, delivery] });
    return millrace;
  } catch (error) {
    close();
    throw error;
  }
}

function placeOf(text: string | undefined): Parameters<typeof openEdgeBlobs>[0] {
  if (text === undefined)
    throw new SettingError("MILLRACE_BLOBS is not set: where the workers have theirs, s3://BUCKET or redis:.");
  const place = parseBlobsUrl(text);
  if (place.scheme === "redis" || place.scheme === "s3") return place;
  throw new SettingError(
    `MILLRACE_BLOBS takes s3://BUCKET or redis: here, not ${place.scheme === "file" ? "a directory" : "azure:"}.`,
  );
}

/** Bindings are not only texts. */
function textsOf(bindings: EdgeBindings): Environment {
  return Object.fromEntries(
    Object.entries(bindings).filter((binding): binding is [string, string] => typeof binding[1] === "string"),
  );
}
