import type { Millrace } from "../engine/index.ts";
import { type AppDeps, createApp } from "../gateway/app.ts";
import type { Listening, MakeApp } from "../gateway/entry/serve.ts";
import type { Origins } from "../gateway/headers.ts";
import type { Limits } from "../gateway/limits.ts";
import { Metrics } from "../gateway/metrics/metrics.ts";
import { type ModelServer, serverOf } from "../workflows/inference/server.ts";
import { CommandError } from "./errors.ts";
import { addProcessFigures } from "./process-figures.ts";
import { type RuntimeName, runtimeName } from "./runtime.ts";

const ENTRIES = {
  node: () => import("../gateway/entry/node.ts"),
  bun: () => import("../gateway/entry/bun.ts"),
  deno: () => import("../gateway/entry/deno.ts"),
} satisfies Record<RuntimeName, unknown>;

export interface Address {
  host: string;
  port: number;
}

export interface GatewayOptions {
  /** Who is let in. */
  door: AppDeps["door"];
  origins: Origins;
  /** Where webhooks may be sent. */
  webhooks: AppDeps["webhooks"];
  limits?: Partial<Limits> | undefined;
  /** Where operators are served, apart from all others. */
  admin?: Address | undefined;
}

export interface ServedGateway {
  url: string;
  adminUrl?: string;
  close(): Promise<void>;
}

/**
 * Serves the gateway on the runtime that this is.
 *
 * @throws CommandError if an address cannot be had, or that of the model server is none; nothing is served then
 */
export async function serveGateway(
  millrace: Millrace,
  address: Address,
  { admin, limits = {}, ...access }: GatewayOptions,
): Promise<ServedGateway> {
  const metrics = new Metrics(millrace);
  addProcessFigures(metrics.registry);
  const common = { millrace, metrics, limits, remoteModels: modelServer(), ...access };
  const serves = admin === undefined ? "all" : "public";
  const all = await listen((upgradeWebSocket) => createApp({ ...common, upgradeWebSocket, serves }), address);
  if (admin === undefined) return all;
  try {
    const makeApp: MakeApp = (upgradeWebSocket) => createApp({ ...common, upgradeWebSocket, openMetrics: true });
    const others = await listen(makeApp, admin, "--admin-port or MILLRACE_ADMIN_PORT", "--admin-host");
    const close = async () => void (await Promise.all([all.close(), others.close()]));
    return { url: all.url, adminUrl: others.url, close };
  } catch (error) {
    await all.close();
    throw error;
  }
}

/**
 * Serves an app on the runtime that this is.
 *
 * @param portOption how another port is given, to whom this one is refused
 * @throws CommandError if the address cannot be had
 */
export async function listen(
  makeApp: MakeApp,
  { host, port }: Address,
  portOption = "--port or PORT",
  hostOption = "--host or HOST",
): Promise<Listening & { url: string }> {
  const { serve } = await ENTRIES[runtimeName()]();
  try {
    const listening = await serve(makeApp, { host, port });
    return { ...listening, url: `http://${nameOf(host)}:${listening.port}` };
  } catch (error) {
    throw addressError(error, { host, port }, portOption, hostOption);
  }
}

function modelServer(): ModelServer | undefined {
  try {
    return serverOf(process.env);
  } catch (error) {
    throw new CommandError((error as Error).message, { cause: error });
  }
}

function addressError(error: unknown, { host, port }: Address, portOption: string, hostOption: string): unknown {
  if (!(error instanceof Error)) return error;
  const kind = `${error.name} ${(error as { code?: string }).code ?? ""}`;
  const options = { cause: error };
  if (/EADDRINUSE|AddrInUse/.test(kind))
    return new CommandError(`Port ${port} of ${host} is in use. Give another with ${portOption}.`, options);
  if (/EACCES|PermissionDenied/.test(kind))
    return new CommandError(`Port ${port} of ${host} is not for this user. Give another with ${portOption}.`, options);
  if (/EADDRNOTAVAIL|ENOTFOUND|AddrNotAvailable/.test(kind))
    return new CommandError(`${host} is no address of this machine. Give another with ${hostOption}.`, options);
  return error;
}

/** As a URL has it: an IPv6 address in brackets, and for all addresses one that can be opened. */
function nameOf(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
