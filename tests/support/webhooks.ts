import type { AnyWorkflow } from "../../engine/index.ts";
import { type Caller, type Door, FOR_EVER } from "../../gateway/access/caller.ts";
import type { WebhookPolicy } from "../../workflows/webhooks/destinations.ts";
import { WebhookService } from "../../workflows/webhooks/service.ts";
import { type DeliveryOptions, webhookDelivery } from "../../workflows/webhooks/workflow.ts";
import { type Answer, startGateway, type TestGateway } from "./gateway.ts";

/** For receivers on this machine. */
export const LOOPBACK: WebhookPolicy = { allow: ["127.0.0.0/8"], http: true };

/** Lets everybody in as the tenant of the header `x-tenant`, with the scopes of `x-scopes` or all. */
const byHeader: Door = {
  admit: async (c) => {
    const scopes = c.req.header("x-scopes")?.split(" ");
    const caller: Caller = {
      tenant: c.req.header("x-tenant") ?? "default",
      name: "a test",
      may: (scope) => scopes === undefined || scopes.includes(scope),
      ...{ seesAll: true, mayWatch: () => true, hold: FOR_EVER },
    };
    return caller;
  },
};

export interface WebhookBench extends AsyncDisposable {
  readonly gateway: TestGateway;
  /** Calls the gateway as a tenant. */
  as(tenant: string): (method: string, path: string, body?: unknown) => Promise<Answer>;
}

/** A gateway, a worker and what sends webhooks. For `await using`. */
export async function webhookBench(
  workflows: readonly AnyWorkflow[],
  options: Partial<DeliveryOptions> = {},
): Promise<WebhookBench> {
  const policy = options.policy ?? LOOPBACK;
  const delivery = webhookDelivery({ ...options, policy, millrace: () => gateway.millrace });
  const gateway: TestGateway = await startGateway({
    ...{ workflows: [...workflows, delivery], webhooks: policy, door: byHeader },
  });
  const service = new WebhookService(gateway.millrace, { deliver: false });
  await service.start();
  return {
    gateway,
    as: (tenant) => (method, path, body) => gateway.call(method, path, body, { "x-tenant": tenant }),
    async [Symbol.asyncDispose]() {
      await service.stop();
      await gateway.close();
    },
  };
}
