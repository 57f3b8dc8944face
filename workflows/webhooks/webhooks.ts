import {
  type Collection,
  type Draw,
  InvalidInputError,
  type Kept,
  type Millrace,
  NotFoundError,
  newDraw,
  type SubscribedEvent,
} from "../../engine/index.ts";
import { createOnce } from "./create-once.ts";
import { Destinations, type WebhookPolicy } from "./destinations.ts";
import { GROUPS } from "./messages.ts";
import { newSecret, rotated, type Secret } from "./secrets.ts";

/** The workflow that delivers. */
export const WEBHOOK_DELIVERY = "webhook-delivery";
/** The topic that tells workers that there are webhooks now. */
export const WEBHOOKS = "webhooks";

const MOST_WEBHOOKS = 50;

/** What a webhook is told of, and where. */
export interface WebhookSettings {
  url: string;
  events: string[];
  /** Of runs of these workflows. Default: all. */
  workflows?: string[];
  /** Of runs that have one of these tags. Default: all. */
  tags?: string[];
  description?: string;
  /** It is sent nothing meanwhile. */
  disabled?: boolean;
}

/** A webhook as it is kept. */
interface WebhookRecord extends WebhookSettings {
  /** Whether its receiver has said that it is gone. */
  gone?: boolean;
  secrets: Secret[];
  createdAt: string;
  updatedAt: string;
}

export interface Webhook extends Omit<WebhookRecord, "secrets"> {
  id: string;
}

/** A webhook with what signs for it: for whoever sends. */
export type SigningWebhook = Webhook & { secrets: readonly Secret[] };

/** `null` takes a setting away. */
export type WebhookChange = { [K in keyof WebhookSettings]?: WebhookSettings[K] | null };

/** The webhooks of tenants. Their secrets are stored, since whoever signs needs them, and told only when they are made. */
export class Webhooks {
  readonly #millrace: Millrace;
  readonly #kept: Collection;
  readonly #destinations: Destinations;

  constructor(millrace: Millrace, policy: WebhookPolicy = {}) {
    this.#millrace = millrace;
    this.#kept = millrace.collection(WEBHOOKS);
    this.#destinations = new Destinations(policy);
  }

  /**
   * Makes a webhook, which is told of every event from then on.
   *
   * @param draw with which it is the same webhook another time
   * @throws InvalidInputError for a bad URL; ConflictError `collection_full`; NotFoundError if nothing here delivers
   */
  async create(
    tenant: string,
    settings: WebhookSettings,
    draw: Draw = newDraw(),
  ): Promise<Webhook & { secret: string }> {
    if (!this.#millrace.workflows.has(WEBHOOK_DELIVERY)) throw new NotFoundError("workflow", WEBHOOK_DELIVERY);
    this.#check(settings.url);
    const [id, secret, now] = [`wh_${draw.id}`, newSecret(draw.random), new Date().toISOString()];
    await this.#prepare(settings.events);
    const record = { ...settings, secrets: [{ secret }], createdAt: now, updatedAt: now };
    const kept = await createOnce(this.#kept, id, record, { tenant, most: MOST_WEBHOOKS });
    await this.#tell();
    return { ...shown(kept), secret };
  }

  /** The oldest first. */
  async list(tenant: string): Promise<Webhook[]> {
    const all = (await this.#kept.list({ tenant })).map(shown);
    return all.sort((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0));
  }

  /** @throws NotFoundError */
  async get(tenant: string, id: string): Promise<Webhook> {
    return shown(found(id, await this.#kept.get(id, { tenant })));
  }

  /** @throws NotFoundError; InvalidInputError for a bad URL */
  async update(tenant: string, id: string, change: WebhookChange): Promise<Webhook> {
    if (change.url != null) this.#check(change.url);
    if (change.events != null) await this.#prepare(change.events);
    const kept = await this.#change(tenant, id, (record) => {
      const changed = { ...record, ...change } as Record<string, unknown>;
      for (const [name, value] of Object.entries(changed)) if (value === null) delete changed[name];
      if (change.disabled !== undefined || change.url != null) delete changed.gone;
      return changed as unknown as WebhookRecord;
    });
    await this.#tell();
    return shown(kept);
  }

  /** @throws NotFoundError */
  async delete(tenant: string, id: string): Promise<void> {
    if (!(await this.#kept.delete(id, { tenant }))) throw new NotFoundError("webhook", id);
  }

  /** Gives it a new secret, with one draw once; the one before signs as well for `overlapMs`. @throws NotFoundError */
  async rotate(tenant: string, id: string, overlapMs: number, draw = newDraw()): Promise<{ secret: string }> {
    const secret = newSecret(draw.random);
    await this.#change(tenant, id, (record) => ({
      ...record,
      secrets: rotated(record.secrets, secret, overlapMs, Date.now()),
    }));
    return { secret };
  }

  /** Its receiver has said that it is gone: nothing more is sent. */
  async retire(tenant: string, id: string): Promise<void> {
    await this.#kept.update(id, (record) => ({ ...(record as WebhookRecord), disabled: true, gone: true }), { tenant });
  }

  /** For whoever sends; undefined if it was deleted. */
  async signing(tenant: string, id: string): Promise<SigningWebhook | undefined> {
    const kept = await this.#kept.get(id, { tenant });
    return kept && { ...shown(kept), secrets: (kept.value as WebhookRecord).secrets };
  }

  /** Those of the event's tenant that want it, whatever their tags. */
  async wanting({ tenant, type, workflow }: SubscribedEvent): Promise<Webhook[]> {
    const all = (await this.#kept.list({ tenant })).map(shown);
    return all.filter(
      ({ disabled, events, workflows }) =>
        disabled !== true && events.includes(type) && (workflows === undefined || workflows.includes(workflow)),
    );
  }

  /** What is stored from here on is kept for webhooks, whether or not a worker is there. */
  async #prepare(events: readonly string[]): Promise<void> {
    for (const { group, events: held } of GROUPS)
      if (held.some((type) => events.includes(type)))
        await this.#millrace.subscriptions.create({ group, events: held });
  }

  #tell(): Promise<void> {
    return this.#millrace.invalidate(WEBHOOKS);
  }

  async #change(tenant: string, id: string, change: (record: WebhookRecord) => WebhookRecord): Promise<Kept> {
    const changed = (value: unknown) => ({ ...change(value as WebhookRecord), updatedAt: new Date().toISOString() });
    return found(id, await this.#kept.update(id, changed, { tenant }));
  }

  #check(url: string): void {
    const message = this.#destinations.refusal(url);
    if (message !== undefined)
      throw new InvalidInputError(`The URL is not taken: ${message}`, [{ path: ["url"], message }]);
  }
}

function found(id: string, kept: Kept | undefined): Kept {
  if (kept === undefined) throw new NotFoundError("webhook", id);
  return kept;
}

function shown({ id, value }: Kept): Webhook {
  const { secrets: _, ...webhook } = value as WebhookRecord;
  return { id, ...webhook };
}
