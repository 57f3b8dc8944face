import type * as v from "valibot";
import { type Collection, type Kept, type Millrace, NotFoundError, newDraw } from "../../engine/index.ts";
import { createOnce } from "../../workflows/webhooks/create-once.ts";
import { newSecret, rotated } from "../../workflows/webhooks/secrets.ts";
import type { Caller } from "../access/caller.ts";
import type { InboundHook, InboundRecord, inboundBody, inboundChange } from "./hook.ts";

const MOST_HOOKS = 50;

type Hidden = "tenant" | "secrets" | "limits";
/** Who makes or changes a hook: from then on what comes in counts as theirs. */
type Owner = Pick<Caller, "tenant" | "limits">;
type Shown<T> = T extends unknown ? Omit<T, Hidden> & { links: { receive: string } } : never;
/** An inbound hook as it is shown. */
export type InboundView = Shown<InboundHook>;

/** The inbound hooks of tenants: by which of them a message comes, its signature says and its address. */
export class InboundHooks {
  readonly #kept: Collection;

  constructor(millrace: Millrace) {
    this.#kept = millrace.collection("inbound-hooks");
  }

  /**
   * @param draw with which it is the same hook another time
   * @returns the hook, with its secret if that was made here
   * @throws ConflictError `collection_full`
   */
  async create(
    { tenant, limits }: Owner,
    { secret, ...settings }: v.InferOutput<typeof inboundBody>,
    draw = newDraw(),
  ): Promise<InboundView & { secret?: string }> {
    const [made, now] = [newSecret(draw.random), new Date().toISOString()];
    const secrets = [{ secret: secret ?? made }];
    const record = { ...settings, secrets, limits, createdAt: now, updatedAt: now };
    const kept = await createOnce(this.#kept, `in_${draw.id}`, record, { tenant, most: MOST_HOOKS });
    return { ...shown(kept), ...(secret === undefined ? { secret: made } : {}) };
  }

  /** The oldest first. */
  async list(tenant: string): Promise<InboundView[]> {
    const all = (await this.#kept.list({ tenant })).map(shown);
    return all.sort((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0));
  }

  /** @throws NotFoundError */
  async get(tenant: string, id: string): Promise<InboundView> {
    return shown(found(id, await this.#kept.get(id, { tenant })));
  }

  /** @throws NotFoundError */
  async update(owner: Owner, id: string, change: v.InferOutput<typeof inboundChange>): Promise<InboundView> {
    const { description, ...rest } = change;
    const kept = await this.#change(owner, id, (record) => {
      const { description: was, ...others } = record;
      const text = description === undefined ? was : description;
      return { ...others, ...rest, ...(text == null ? {} : { description: text }) };
    });
    return shown(kept);
  }

  /** @throws NotFoundError */
  async delete(tenant: string, id: string): Promise<void> {
    if (!(await this.#kept.delete(id, { tenant }))) throw new NotFoundError("inbound hook", id);
  }

  /** Checks by this secret from now on, by the one before for `overlapMs` more. @throws NotFoundError */
  async rotate(owner: Owner, id: string, secret: string, overlapMs: number): Promise<void> {
    await this.#change(owner, id, (record) => ({
      ...record,
      secrets: rotated(record.secrets, secret, overlapMs, Date.now()),
    }));
  }

  /** For whoever checks a message; whosever it is. @throws NotFoundError if there is none, or it is disabled */
  async receiving(id: string): Promise<InboundHook> {
    const tenant = await this.#kept.tenantOf(id);
    const kept = tenant === undefined ? undefined : await this.#kept.get(id, { tenant });
    const hook = { ...(found(id, kept).value as InboundRecord), id, tenant: tenant! };
    if (hook.disabled) throw new NotFoundError("inbound hook", id);
    return hook;
  }

  async #change({ tenant, limits }: Owner, id: string, change: (record: InboundRecord) => object): Promise<Kept> {
    const changed = (value: unknown) => {
      const updatedAt = new Date().toISOString();
      return { ...change(value as InboundRecord), limits, updatedAt };
    };
    return found(id, await this.#kept.update(id, changed, { tenant }));
  }
}

function found(id: string, kept: Kept | undefined): Kept {
  if (kept === undefined) throw new NotFoundError("inbound hook", id);
  return kept;
}

function shown({ id, value }: Kept): InboundView {
  const { secrets: _, limits: __, ...hook } = value as InboundRecord;
  return { id, ...hook, links: { receive: `/v1/hooks/${id}` } } as InboundView;
}
