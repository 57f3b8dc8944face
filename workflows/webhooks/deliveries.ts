import * as v from "valibot";
import {
  ConflictError,
  type ErrorRecord,
  type Millrace,
  NotFoundError,
  type Page,
  type PageOptions,
  type RunView,
  type StartOptions,
} from "../../engine/index.ts";
import type { Message } from "./messages.ts";
import { WEBHOOK_DELIVERY } from "./webhooks.ts";
import type { Delivery } from "./workflow.ts";

const received = v.object({ status: v.number(), durationMs: v.number(), body: v.string() });

/** A delivery as its webhook's log shows it. */
export interface DeliveryView {
  /** That of the run which delivers it. */
  id: string;
  /** `webhook-id`: the same each time the message is delivered. */
  message: string;
  type: string;
  /** `skipped`: its webhook was deleted meanwhile. */
  status: "pending" | "delivered" | "failed" | "skipped";
  attempts: number;
  createdAt: string;
  endedAt?: string;
  /** What the last attempt was answered, if it was. */
  response?: v.InferOutput<typeof received>;
  /** Why the last attempt failed. */
  error?: { code?: string; message: string };
}

type Terms = Pick<StartOptions, "idempotency" | "metadata">;

/** What is delivered to webhooks: each delivery is a run of `webhook-delivery`. */
export class Deliveries {
  readonly #millrace: Millrace;

  constructor(millrace: Millrace) {
    this.#millrace = millrace;
  }

  /** Starts the delivery of an event's message to a webhook: again and again the same one. @returns its id */
  async start(tenant: string, webhook: string, message: Message, metadata?: Record<string, unknown>): Promise<string> {
    // Of one event there is one message: what else is read of its run may be another by now.
    const idempotency = { scope: WEBHOOK_DELIVERY, key: `${webhook} ${message.id}`, digest: message.id };
    return this.#start(tenant, webhook, message, { idempotency, ...(metadata === undefined ? {} : { metadata }) });
  }

  /** Delivers a message of type `ping`. @returns its id */
  async ping(tenant: string, webhook: string, same: Pick<StartOptions, "idempotency">): Promise<string> {
    const id = `ping_${crypto.randomUUID().replaceAll("-", "")}`;
    const message = { id, type: "ping", timestamp: new Date().toISOString(), data: { webhook } };
    return this.#start(tenant, webhook, message, same);
  }

  async #start(tenant: string, webhook: string, message: Message, terms: Terms): Promise<string> {
    const input: Delivery = { webhook, message };
    const tags = [tagOf(webhook)];
    return (await this.#millrace.runs.start(WEBHOOK_DELIVERY, input, { tenant, tags, ...terms })).id;
  }

  /** Those of a webhook, newest first. @throws InvalidInputError */
  async list(tenant: string, webhook: string, options: PageOptions): Promise<Page<DeliveryView>> {
    const { runs } = this.#millrace;
    const { data, next } = await runs.list({ tenant, tag: tagOf(webhook), workflow: WEBHOOK_DELIVERY, ...options });
    const views = await Promise.all(data.map(({ id }) => this.#find(tenant, webhook, id)));
    const there = views.filter((run) => run !== undefined).map(viewOf);
    return next === undefined ? { data: there } : { data: there, next };
  }

  /** @throws NotFoundError */
  async get(tenant: string, webhook: string, id: string): Promise<DeliveryView> {
    return viewOf(await this.#known(tenant, webhook, id));
  }

  /**
   * Delivers the same message once more, as a delivery of its own.
   *
   * @returns its id
   * @throws NotFoundError; ConflictError `delivery_pending`
   */
  async redeliver(
    tenant: string,
    webhook: string,
    id: string,
    same: Pick<StartOptions, "idempotency">,
  ): Promise<string> {
    const { endedAt } = await this.#known(tenant, webhook, id);
    if (endedAt === undefined)
      throw new ConflictError("delivery_pending", `Delivery ${id} is still being tried: it needs no other.`);
    return (await this.#millrace.runs.rerun(id, { tenant, from: "deliver", newest: true, ...same })).id;
  }

  async #known(tenant: string, webhook: string, id: string): Promise<RunView> {
    const run = await this.#find(tenant, webhook, id);
    if (run === undefined) throw new NotFoundError("delivery", id);
    return run;
  }

  async #find(tenant: string, webhook: string, id: string): Promise<RunView | undefined> {
    try {
      const run = await this.#millrace.runs.get(id, { tenant });
      const isOne = run.workflow === WEBHOOK_DELIVERY && (run.input as Delivery).webhook === webhook;
      return isOne ? run : undefined;
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }
}

/** By which the deliveries of a webhook are found. */
function tagOf(webhook: string): string {
  return `webhook:${webhook}`;
}

function viewOf({ id, status, input, steps, createdAt, endedAt }: RunView): DeliveryView {
  const { message } = input as Delivery;
  const { attempt, output, error } = steps.deliver!;
  const result = output as { received?: unknown; skipped?: string } | undefined;
  const answer = v.safeParse(received, result?.received ?? answerIn(error));
  const done = result?.skipped === undefined ? "delivered" : "skipped";
  return {
    ...{ id, message: message.id, type: message.type, attempts: attempt, createdAt },
    status: status === "completed" ? done : endedAt === undefined ? "pending" : "failed",
    ...(endedAt === undefined ? {} : { endedAt }),
    ...(answer.success ? { response: answer.output } : {}),
    ...(error === undefined ? {} : { error: errorOf(error) }),
  };
}

function errorOf({ code, message }: ErrorRecord): { code?: string; message: string } {
  return code === undefined ? { message } : { code, message };
}

/** A failure after an answer has it as its cause. */
function answerIn(error: ErrorRecord | undefined): unknown {
  if (error?.cause?.name !== "Received") return undefined;
  try {
    return JSON.parse(error.cause.message);
  } catch {
    return undefined;
  }
}
