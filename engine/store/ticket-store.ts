import type { Partitions } from "../partitions.ts";
import type { Client } from "../redis/client.ts";
import { pairs } from "../run-record.ts";
import { issueTicket } from "../scripts/issue-ticket.ts";
import { redeemTicket } from "../scripts/redeem-ticket.ts";
import type { Reply } from "../scripts/script.ts";
import { encodeTimerRow } from "../timer-rows.ts";
import { refuseWrongType } from "./refusals.ts";

/** What is stored of tickets, each in the partition of its digest. */
export class TicketStore {
  readonly #client: Client;
  readonly #partitions: Partitions;

  constructor(client: Client, partitions: Partitions) {
    this.#client = client;
    this.#partitions = partitions;
  }

  /** Stores a ticket by its digest. When it expires, ms. */
  async issue(hash: string, ttlMs: number, fields: Record<string, string>): Promise<number> {
    const args = [ttlMs, row(hash), ...Object.entries(fields).flat()];
    const [code, expiresAt] = (await this.#client.run(issueTicket, this.#keys(hash), args)) as [Reply, number];
    refuseWrongType(code, "a ticket");
    return expiresAt;
  }

  /** What was stored, if it was and has neither been redeemed nor expired. */
  async redeem(hash: string): Promise<Record<string, string> | undefined> {
    const reply = await this.#client.run(redeemTicket, this.#keys(hash), [row(hash)]);
    const [code, flat] = reply as [Reply, string[]?];
    refuseWrongType(code, "a ticket");
    return flat === undefined ? undefined : pairs(flat);
  }

  #keys(hash: string): string[] {
    const keys = this.#partitions.keyed(hash);
    return [keys.ticket(hash), keys.timers()];
  }
}

function row(hash: string): string {
  return encodeTimerRow({ kind: "ticket", hash });
}
