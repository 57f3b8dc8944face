import { FatalError, MillraceError, RetryAfterError, type StepContext } from "../../../engine/index.ts";
import type { Destinations } from "../destinations.ts";
import { currentSecrets } from "../secrets.ts";
import { sign, signedContent } from "../signature.ts";
import { WEBHOOK_DELIVERY, Webhooks } from "../webhooks.ts";
import { type Delivery, type DeliveryOptions, LONGEST_DELAY_MS } from "../workflow.ts";
import { type Answer, post } from "./post.ts";

/** What a receiver has answered. */
export interface Received {
  status: number;
  durationMs: number;
  /** Its first characters. */
  body: string;
}

/** What a delivery comes to: what the receiver has answered, or why it was sent nothing. */
export interface Delivered {
  received?: Received;
  skipped?: string;
}

export interface DeliveryParts extends DeliveryOptions {
  destinations: Destinations;
  timeoutMs: number;
}

const SHOWN = 500;
const GONE = 410;

/** One attempt to deliver. */
export async function deliver(
  { webhook: id, message }: Delivery,
  { run: { tenant }, signal }: StepContext,
  { millrace, policy, destinations, resolve, timeoutMs }: DeliveryParts,
): Promise<Delivered> {
  const webhooks = new Webhooks(millrace(), policy);
  const webhook = await webhooks.signing(tenant, id);
  if (webhook === undefined) return { skipped: "The webhook was deleted." };
  if (webhook.disabled) throw new FatalError("The webhook is disabled.", { code: "webhook_disabled" });
  const refusal = destinations.refusal(webhook.url);
  if (refusal !== undefined) throw new FatalError(`The URL is not taken: ${refusal}`, { code: "address_refused" });

  const { id: messageId, ...content } = message;
  const body = JSON.stringify(content);
  const timestamp = Math.floor(Date.now() / 1_000);
  const secrets = currentSecrets(webhook.secrets, Date.now());
  const headers = {
    "content-type": "application/json",
    "user-agent": `Millrace ${WEBHOOK_DELIVERY}`,
    "webhook-id": messageId,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": await sign(secrets, signedContent(messageId, timestamp, body)),
  };
  const deadline = AbortSignal.timeout(timeoutMs);
  const startedAt = performance.now();
  let answer: Answer;
  try {
    const either = AbortSignal.any([signal, deadline]);
    answer = await post(new URL(webhook.url), { headers, body, destinations, resolve, signal: either });
  } catch (cause) {
    if (deadline.aborted) throw new MillraceError("receiver_timeout", `No whole answer within ${timeoutMs} ms.`);
    if (cause instanceof FatalError) throw cause;
    throw new MillraceError("receiver_unreachable", `The receiver cannot be reached: ${reasonOf(cause)}`, { cause });
  }
  const durationMs = Math.round(performance.now() - startedAt);
  const received: Received = { status: answer.status, durationMs, body: shown(answer.body) };
  if (answer.status >= 200 && answer.status < 300) return { received };
  const text = `The receiver answered ${answer.status}.`;
  const options = { code: `http_${answer.status}`, cause: new Refused(received) };
  if (answer.status === GONE) {
    await webhooks.retire(tenant, id);
    throw new FatalError(`${text} The webhook is disabled.`, options);
  }
  const retryAfterMs = retryAfter(answer.retryAfter, Date.now());
  if (retryAfterMs !== undefined) throw new RetryAfterError(text, retryAfterMs, options);
  throw new MillraceError(options.code, text, options);
}

/** Carries what was received into the record of a failure, for the log of deliveries. */
class Refused extends Error {
  override readonly name = "Received";

  constructor(received: Received) {
    super(JSON.stringify(received));
  }
}

/**
 * What `Retry-After` asks for, in ms; undefined where it says nothing that can be read.
 * (https://www.rfc-editor.org/rfc/rfc9110#name-retry-after)
 */
export function retryAfter(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? "";
  // What JavaScript takes for a date may be any number.
  const date = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : date - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 1_000), LONGEST_DELAY_MS);
}

function shown(bytes: Uint8Array): string {
  return new TextDecoder()
    .decode(bytes)
    .replaceAll(/\p{Cc}+/gu, " ")
    .slice(0, SHOWN);
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return String(message || code || cause);
}
