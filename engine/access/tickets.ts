import type { Draw } from "../draw.ts";
import { ID_PATTERN, NAME_PATTERN } from "../ids.ts";
import { iso } from "../run-record.ts";
import { DEFAULT_TENANT } from "../runs.ts";
import type { TicketStore } from "../store/ticket-store.ts";
import type { IssueTicketOptions, Ticket, TicketsApi, VerifiedKey } from "./api.ts";
import { checkTenant, checkWhole, invalid } from "./check.ts";
import { digestOf, isTicket, newTicket } from "./secrets.ts";

const DEFAULT_TTL_MS = 60_000;
const MOST_TTL_MS = 3_600_000;
const MOST_RUNS = 100;
const MOST_WORKFLOWS = 20;

type KeyOfTicket = Pick<VerifiedKey, "id" | "secretNumber">;

/** Tickets. What is stored of one is the digest of its text, and what it is for. */
export class Tickets implements TicketsApi {
  readonly #store: TicketStore;
  readonly #works: (key: KeyOfTicket) => Promise<boolean>;

  /** @param works whether a key that a ticket was issued for works still */
  constructor(store: TicketStore, works: (key: KeyOfTicket) => Promise<boolean>) {
    this.#store = store;
    this.#works = works;
  }

  async issue(options: IssueTicketOptions, draw?: Draw): Promise<{ ticket: string; expiresAt: string }> {
    const { tenant = DEFAULT_TENANT, runs, workflows, canSignal = false, ttlMs = DEFAULT_TTL_MS, key } = options;
    checkTenant(tenant);
    checkWhole("ttlMs", ttlMs, 1_000, MOST_TTL_MS);
    if ((runs === undefined) === (workflows === undefined)) throw invalid("runs", "Give runs or workflows");
    if (typeof canSignal !== "boolean") throw invalid("canSignal", "Expected true or false");
    const fields = {
      tenant,
      ...(runs === undefined ? {} : { runs: checkList("runs", runs, ID_PATTERN, MOST_RUNS) }),
      ...(workflows === undefined
        ? {}
        : { workflows: checkList("workflows", workflows, NAME_PATTERN, MOST_WORKFLOWS) }),
      ...(canSignal ? { canSignal: "1" } : {}),
      ...(key === undefined ? {} : { key: `${key.id} ${key.secretNumber}` }),
    };
    const ticket = newTicket(draw?.random);
    const expiresAt = await this.#store.issue(await digestOf(ticket), ttlMs, fields);
    return { ticket, expiresAt: iso(expiresAt) };
  }

  async redeem(ticket: string): Promise<Ticket | undefined> {
    if (!isTicket(ticket)) return undefined;
    const fields = await this.#store.redeem(await digestOf(ticket));
    if (fields === undefined) return undefined;
    const { tenant, runs, workflows, canSignal, key: of } = fields;
    const [id, number] = of?.split(" ") ?? [];
    const key = id === undefined ? undefined : { id, secretNumber: Number(number) };
    if (key !== undefined && !(await this.#works(key))) return undefined;
    return {
      tenant: tenant!,
      ...(runs === undefined ? {} : { runs: runs.split(" ") }),
      ...(workflows === undefined ? {} : { workflows: workflows.split(" ") }),
      canSignal: canSignal === "1",
      ...(key === undefined ? {} : { key }),
    };
  }
}

/** As it is stored: ids and names have no spaces. */
function checkList(path: string, list: unknown, pattern: RegExp, most: number): string {
  if (!Array.isArray(list) || list.length < 1 || list.length > most) throw invalid(path, `Expected 1 to ${most}`);
  for (const each of list)
    if (typeof each !== "string" || !pattern.test(each)) throw invalid(path, `Expected each to match ${pattern}`);
  return [...new Set(list)].join(" ");
}
