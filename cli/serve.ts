import type { Millrace } from "../engine/index.ts";
import { type AppDeps, createApp } from "../gateway/app.ts";
import type { Listening } from "../gateway/entry/serve.ts";
import { type ModelServer, serverOf } from "../workflows/inference/server.ts";
import { CommandError } from "./errors.ts";
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

/**
 * Serves the gateway on the runtime that this is.
 *
 * @param access who is let in, of which origins pages may ask, and where webhooks may be sent
 * @throws CommandError if the address cannot be had, or that of the model server is none
 */
export async function serveGateway(
  millrace: Millrace,
  { host, port }: Address,
  access: Pick<AppDeps, "door" | "origins" | "webhooks">,
): Promise<Listening & { url: string }> {
  const { serve } = await ENTRIES[runtimeName()]();
  const remoteModels = modelServer();
  try {
    const listening = await serve(
      (upgradeWebSocket) => createApp({ millrace, upgradeWebSocket, remoteModels, ...access }),
      {
        host,
        port,
      },
    );
    return { ...listening, url: `http://${nameOf(host)}:${listening.port}` };
  } catch (error) {
    throw addressError(error, { host, port });
  }
}

function modelServer(): ModelServer | undefined {
  try {
    return serverOf(process.env);
  } catch (error) {
    throw new CommandError((error as Error).message, { cause: error });
  }
}

function addressError(error: unknown, { host, port }: Address): unknown {
  if (!(error instanceof Error)) return error;
  const kind = `${error.name} ${(error as { code?: string }).code ?? ""}`;
  const options = { cause: error };
  if (/EADDRINUSE|AddrInUse/.test(kind))
    return new CommandError(`Port ${port} of ${host} is in use. Give another with --port or PORT.`, options);
  if (/EACCES|PermissionDenied/.test(kind))
    return new CommandError(`Port ${port} of ${host} is not for this user. Give another with --port or PORT.`, options);
  if (/EADDRNOTAVAIL|ENOTFOUND|AddrNotAvailable/.test(kind))
    return new CommandError(`${host} is no address of this machine. Give another with --host or HOST.`, options);
  return error;
}

/** As a URL has it: an IPv6 address in brackets, and for all addresses one that can be opened. */
function nameOf(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
