import type { PartitionKeys } from "../keys.ts";
import type { Partitions } from "../partitions.ts";
import type { Client } from "../redis/client.ts";
import { answerRequest } from "../scripts/answer-request.ts";
import { beginRequest } from "../scripts/begin-request.ts";
import { leaveRequest } from "../scripts/leave-request.ts";
import { Reply } from "../scripts/script.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { idempotencyMismatch, refuseWrongType } from "./refusals.ts";

/** What an error says it is about. */
const KEY = "the idempotency key";

/** Which request: `hash` is of its scope and key. */
export interface WhichRequest {
  tenant: string;
  hash: string;
}

/** How it stands with a request that was begun. */
export type Begun =
  | { state: "mine"; isFirst: boolean; id: string; seed: string }
  | { state: "busy"; leftMs: number }
  | { state: "answered"; id: string; reply: string; location: string };

/** Requests whose replies are kept, each in the partition of its hash. */
export class RequestStore {
  readonly #client: Client;
  readonly #partitions: Partitions;

  constructor(client: Client, partitions: Partitions) {
    this.#client = client;
    this.#partitions = partitions;
  }

  partition({ hash }: WhichRequest): PartitionKeys {
    return this.#partitions.keyed(hash);
  }

  async isKnown(which: WhichRequest): Promise<boolean> {
    return (await this.#client.call("EXISTS", this.#keys(which)[0]!)) === 1;
  }

  /** Takes it for `token`, unless another has it. @throws ConflictError `idempotency_mismatch` */
  async begin(
    which: WhichRequest,
    { digest, token, id, seed }: { digest: string; token: string; id: string; seed: string },
    { leaseMs, keptMs }: { leaseMs: number; keptMs: number },
  ): Promise<Begun> {
    const args = [digest, token, leaseMs, id, seed, keptMs, row(which)];
    const told = (await this.#client.run(beginRequest, this.#keys(which), args)) as [Reply, ...unknown[]];
    const [reply, first, second, third] = told;
    refuseWrongType(reply, KEY);
    if (reply === Reply.Stale) throw idempotencyMismatch();
    if (reply === Reply.NotOwner) return { state: "busy", leftMs: Number(first) };
    if (reply === Reply.Already)
      return { state: "answered", id: String(first), reply: String(second), location: String(third) };
    return { state: "mine", isFirst: first === 1, id: String(second), seed: String(third) };
  }

  /** Stores its reply. That of before, if it has one; undefined if it is no longer kept. */
  async answer(
    which: WhichRequest,
    { digest, reply, location }: { digest: string; reply: string; location: string },
  ): Promise<string | undefined> {
    const [key] = this.#keys(which);
    const told = (await this.#client.run(answerRequest, [key!], [digest, reply, location])) as [Reply, string?];
    refuseWrongType(told[0], KEY);
    return told[0] === Reply.NotThere ? undefined : (told[1] ?? reply);
  }

  /** Lets others have it, or forgets it. */
  async leave(which: WhichRequest, token: string, madeNothing: boolean): Promise<void> {
    const args = [token, madeNothing ? row(which) : ""];
    refuseWrongType(await this.#client.run(leaveRequest, this.#keys(which), args), KEY);
  }

  #keys(which: WhichRequest): string[] {
    const keys = this.partition(which);
    return [keys.once(which.tenant, which.hash), keys.timers()];
  }
}

function row({ tenant, hash }: WhichRequest): string {
  return encodeTimerRow({ kind: "forget", tenant, hash });
}
