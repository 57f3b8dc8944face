import type { Limits } from "../gateway/limits.ts";
import { loadDefinitions } from "./definitions.ts";
import { doorOf } from "./door.ts";
import { type Address, serveGateway } from "./serve.ts";
import { requireRedis, type Settings } from "./settings.ts";
import { askedToStop, within } from "./stop.ts";
import { startTracing } from "./tracing.ts";
import { withWebhooks } from "./webhooks.ts";

export interface GatewayCommand {
  workflows: string[];
  port?: number;
  host?: string;
  adminPort?: number;
  adminHost?: string;
  limit?: Partial<Limits>;
}

/** The gateway's own bound is lower. */
export const CLOSE_GATEWAY_MS = 10_000;

/**
 * `millrace gateway`: serves HTTP until it is asked to stop.
 *
 * @throws UsageError, CommandError, and what `connect` throws
 */
export async function runGateway(command: GatewayCommand, settings: Settings): Promise<void> {
  const url = requireRedis(settings);
  const workflows = await loadDefinitions(command.workflows);
  const stop = askedToStop();
  const tracing = await startTracing(settings.tracing, "millrace-gateway");
  const { millrace, close } = await withWebhooks(settings).open(url, { workflows, durability: settings.durability });
  try {
    const gateway = await serveGateway(millrace, addressOf(command, settings), {
      door: doorOf(millrace, settings),
      origins: settings.origins,
      limits: command.limit,
      admin: adminOf(command, settings),
      webhooks: settings.webhooks,
    });
    console.log(`listening on ${gateway.url}`);
    if (gateway.adminUrl !== undefined) console.log(`for operators on ${gateway.adminUrl}`);
    await stop;
    await within(gateway.close(), CLOSE_GATEWAY_MS);
  } finally {
    await close();
    await tracing.stop();
  }
}

function adminOf(command: GatewayCommand, { adminPort, adminHost }: Settings): Address | undefined {
  const port = command.adminPort ?? adminPort;
  return port === undefined ? undefined : { host: command.adminHost ?? adminHost, port };
}

/** Options stand above variables. */
export function addressOf(command: GatewayCommand, settings: Settings): Address {
  return { host: command.host ?? settings.host, port: command.port ?? settings.port };
}
