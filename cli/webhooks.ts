import { type AnyWorkflow, type ConnectOptions, connect, type Millrace } from "../engine/index.ts";
import { type WebhookPolicy, webhookDelivery } from "../workflows/webhooks/index.ts";

export interface WithWebhooks {
  /** What delivers. */
  readonly workflow: AnyWorkflow;
  /** As the engine's `connect`, with that workflow beside those of the options. To be called once. */
  connect(options: ConnectOptions): Promise<Millrace>;
}

/** The workflow that delivers to webhooks, which is there whatever definitions a process is given. */
export function withWebhooks(policy: WebhookPolicy): WithWebhooks {
  let millrace: Millrace;
  const workflow = webhookDelivery({ millrace: () => millrace, policy });
  return {
    workflow,
    async connect(options) {
      millrace = await connect({ ...options, workflows: [...options.workflows, workflow] });
      return millrace;
    },
  };
}
