import type { Answer } from "./gateway.ts";

export type Call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>;

/** A request that makes something. */
export interface Making {
  path: string;
  body?: unknown;
}

/** What a tenant can do, who has these beside the gateway. */
export interface Has {
  call: Call;
  /** The id of a dead letter of its own. */
  deadLetter(): Promise<string>;
  /** A subscription with an event that could not be delivered, and the id of that. */
  undelivered(): Promise<{ group: string; id: string }>;
}

const WEBHOOK = { url: "https://hooks.invalid/", events: ["run.failed"] };
const HOOK = { scheme: "standard-webhooks", action: { start: "greet" } };
const KEY = { name: "ci", scopes: ["runs:read"] };
const made = async ({ call }: Has, path: string, body: unknown): Promise<string> =>
  (await call("POST", path, body)).body.id;

/** By operation whose reply the gateway keeps: a request that it takes. */
export const MAKINGS: Record<string, (has: Has) => Promise<Making>> = {
  createKey: async () => ({ path: "/v1/keys", body: KEY }),
  rotateKey: async (has) => ({ path: `/v1/keys/${await made(has, "/v1/keys", KEY)}/rotate` }),
  issueTicket: async () => ({ path: "/v1/tickets", body: { workflows: ["greet"] } }),
  createWebhook: async () => ({ path: "/v1/webhooks", body: WEBHOOK }),
  rotateWebhookSecret: async (has) => ({ path: `/v1/webhooks/${await made(has, "/v1/webhooks", WEBHOOK)}/secret` }),
  createInboundHook: async () => ({ path: "/v1/inbound-hooks", body: HOOK }),
  rotateInboundSecret: async (has) => ({
    path: `/v1/inbound-hooks/${await made(has, "/v1/inbound-hooks", HOOK)}/secret`,
  }),
  presignDocument: async () => ({ path: "/v1/documents/presigned", body: { size: 5 } }),
  deployModel: async () => ({ path: "/v1/models/millrace-extractive-1/deployments", body: { version: "2" } }),
  replayDeadLetters: async () => ({ path: "/v1/dead-letters/replay", body: { workflow: "none" } }),
  discardDeadLetters: async () => ({ path: "/v1/dead-letters/discard", body: { workflow: "none" } }),
  replayDeadLetter: async (has) => ({ path: `/v1/dead-letters/${await has.deadLetter()}/replay` }),
  replayUndelivered: async (has) => ({
    path: `/v1/subscriptions/${(await has.undelivered()).group}/dead-letters/replay`,
  }),
  replayOneUndelivered: async (has) => {
    const { group, id } = await has.undelivered();
    return { path: `/v1/subscriptions/${group}/dead-letters/${id}/replay` };
  },
};

/** What of these is gone once it was done: whoever takes it up after that finds nothing. */
export const DONE_ONCE = ["replayDeadLetter", "replayOneUndelivered"];
