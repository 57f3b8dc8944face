import type { Context } from "hono";
import type { RequestIdVariables } from "hono/request-id";
import type { UpgradeWebSocket } from "hono/ws";
import type { Millrace } from "../engine/index.ts";
import type { WebhookPolicy } from "../workflows/webhooks/destinations.ts";
import type { Caller } from "./access/caller.ts";
import type { Limits } from "./limits.ts";

import type { OpenCount } from "./live/open-count.ts";

import type { Metrics } from "./metrics/metrics.ts";

import type { RemoteModels } from "./openai/models.ts";
import type { TraceVariables } from "./trace.ts";

export type Env = { Variables: RequestIdVariables & TraceVariables & { caller: Caller } };

export interface Log {
  info(message: string, properties?: Record<string, unknown>): void;
  warn(message: string, properties?: Record<string, unknown>): void;
  error(message: string, properties?: Record<string, unknown>): void;
}

/** What every route is given. */
export interface Gateway {
  readonly millrace: Millrace;
  readonly upgradeWebSocket: UpgradeWebSocket;
  readonly limits: Limits;
  readonly open: OpenCount;
  /** Where webhooks may be sent. */
  readonly webhooks: WebhookPolicy;
  /** Undefined where the workers have no model server. */
  readonly remoteModels: RemoteModels | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Whose request this is. */
export function tenantOf(c: Context<Env>): string {
  return c.get("caller").tenant;
}
