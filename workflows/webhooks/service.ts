import { getLogger } from "@logtape/logtape";
import {
  createWorker,
  type Millrace,
  NotFoundError,
  type SubscribedEvent,
  type SubscriptionConsumer,
  type Worker,
  type WorkerOptions,
} from "../../engine/index.ts";
import { Deliveries } from "./deliveries.ts";
import { GROUPS, messageOf, runOf } from "./messages.ts";
import { WEBHOOK_DELIVERY, WEBHOOKS, Webhooks } from "./webhooks.ts";

const log = getLogger(["millrace", "webhooks"]);

const TRY_AGAIN_MS = 1_000;
const EVENTS_AT_ONCE = 16;
/** What cannot be started now, memory being full say, is tried again for more than a day. */
const RETRY = { attempts: 1_000, baseMs: 1_000, maxMs: 120_000 };

/** How the process takes part in sending webhooks. */
export interface WebhookServiceOptions extends Pick<WorkerOptions, "concurrency" | "leaseMs" | "drainMs"> {
  /** Whether it has a worker of its own that delivers. Default true. */
  deliver?: boolean;
}

/**
 * Turns the events of runs into deliveries to webhooks, and delivers. It does nothing until there is a webhook; then it
 * consumes the subscriptions that hold the events, and runs a worker of its own, so that slow receivers take no slots of others.
 */
export class WebhookService {
  readonly #millrace: Millrace;
  readonly #options: WebhookServiceOptions;
  readonly #webhooks: Webhooks;
  readonly #deliveries: Deliveries;
  readonly #consumers = new Map<string, SubscriptionConsumer>();
  #worker: Worker | undefined;
  #looking: Promise<void> = Promise.resolve();
  #again: ReturnType<typeof setTimeout> | undefined;
  #unlisten: (() => void) | undefined;
  #stopping = false;

  /** @throws NotFoundError if the connection does not have the workflow `webhook-delivery` */
  constructor(millrace: Millrace, options: WebhookServiceOptions = {}) {
    if (!millrace.workflows.has(WEBHOOK_DELIVERY)) throw new NotFoundError("workflow", WEBHOOK_DELIVERY);
    this.#millrace = millrace;
    this.#options = options;
    this.#webhooks = new Webhooks(millrace);
    this.#deliveries = new Deliveries(millrace);
  }

  /** Looks for webhooks now, and whenever there may be new ones. */
  async start(): Promise<void> {
    this.#unlisten = this.#millrace.onInvalidate(WEBHOOKS, () => this.#look());
    await this.#look();
  }

  /** Takes nothing new, and lets what is at work end. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#unlisten?.();
    clearTimeout(this.#again);
    await this.#looking;
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.stop()));
    await this.#worker?.stop();
  }

  #look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#serve());
    return this.#looking;
  }

  async #serve(): Promise<void> {
    clearTimeout(this.#again);
    if (this.#stopping) return;
    try {
      for (const { group, events } of GROUPS)
        if (!this.#consumers.has(group) && (await this.#isThere(group))) await this.#consume(group, events);
    } catch (error) {
      log.warn("looking for webhooks failed, and is tried again: {error}", { error });
      this.#again = setTimeout(() => void this.#look(), TRY_AGAIN_MS);
    }
  }

  async #isThere(group: string): Promise<boolean> {
    try {
      await this.#millrace.subscriptions.get(group);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  async #consume(group: string, events: (typeof GROUPS)[number]["events"]): Promise<void> {
    const { concurrency, leaseMs, drainMs, deliver = true } = this.#options;
    if (deliver && this.#worker === undefined) {
      const only = (name: string) => name === WEBHOOK_DELIVERY;
      const worker = createWorker(this.#millrace, { concurrency, leaseMs, drainMs, steps: only });
      await worker.start();
      this.#worker = worker;
    }
    const settings = { group, events, retry: RETRY, concurrency: EVENTS_AT_ONCE, leaseMs, drainMs };
    this.#consumers.set(group, await this.#millrace.subscribe(settings, (event) => this.#handle(event)));
  }

  /** An event that is handled again makes no second delivery. */
  async #handle(event: SubscribedEvent): Promise<void> {
    // A delivery that told of itself would never end.
    if (event.workflow === WEBHOOK_DELIVERY) return;
    const wanting = await this.#webhooks.wanting(event);
    if (wanting.length === 0) return;
    const isRead = event.type === "run.completed" || wanting.some(({ tags }) => tags !== undefined);
    const run = isRead ? await runOf(this.#millrace, event) : undefined;
    const message = messageOf(event, run);
    const chosen = wanting.filter(({ tags }) => tags === undefined || tags.some((tag) => run?.tags?.includes(tag)));
    const about = { event: event.type, run: event.run };
    await Promise.all(chosen.map(({ id }) => this.#deliveries.start(event.tenant, id, message, about)));
  }
}
