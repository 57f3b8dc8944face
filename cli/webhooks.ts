import type { AnyWorkflow, Millrace } from "../engine/index.ts";
import { webhookDelivery } from "../workflows/webhooks/index.ts";
import { type Connection, openConnection } from "./connection.ts";
import type { Settings } from "./settings.ts";

type Options = Parameters<typeof openConnection>[2];

export interface WithWebhooks {
  /** What delivers. */
  readonly workflow: AnyWorkflow;
  /** As `openConnection`, with that workflow beside those of the options. To be called once. */
  open(url: string, options: Options): Promise<Connection>;
}

/** The workflow that delivers to webhooks, which is there whatever definitions a process is given. */
export function withWebhooks(settings: Settings): WithWebhooks {
  let millrace: Millrace;
  const workflow = webhookDelivery({ millrace: () => millrace, policy: settings.webhooks });
  return {
    workflow,
    async open(url, options) {
      const workflows = [...options.workflows, workflow];
      const connection = await openConnection(settings, url, { ...options, workflows });
      millrace = connection.millrace;
      return connection;
    },
  };
}
