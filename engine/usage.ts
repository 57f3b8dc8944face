import { DefinitionError, FatalError, InvalidInputError } from "./errors.ts";

/** What a handler says that it has used. */
export interface UsageReport {
  /** A whole number, 0 or more. */
  tokens?: number;
  /** 0 or more, in whatever currency you count in. Kept in billionths of it. */
  cost?: number;
  /** On whose account, beside the tenant's: 1 to 200 characters. At most 10 in an attempt. */
  key?: string;
}

/** What was used, in all. */
export interface Usage {
  tokens: number;
  cost: number;
}

/** How much a run may use. */
export type Budget = Partial<Usage>;

/** As it is counted: sums of whole numbers do not drift. */
export interface Counted {
  tokens: number;
  billionths: number;
}

const BILLION = 1_000_000_000;
/** What can be said at once: in billionths too it is a whole number that every side can hold, and so is a sum of nine. */
const MOST_TOKENS = 1_000_000_000_000;
const MOST_COST = 1_000_000;
const KEY_LIMIT = 200;
const KEYS_LIMIT = 10;

/** What an attempt has used and has not told yet. */
export class Spending {
  #sum: Counted | undefined;
  #byKey = new Map<string, Counted>();
  readonly #keys = new Set<string>();

  /** @throws FatalError `bad_usage` */
  add(report: UsageReport): void {
    const { tokens = 0, cost = 0, key } = report ?? {};
    if (!isTokens(tokens)) throw bad(`tokens are a whole number from 0 to ${MOST_TOKENS}, not ${tokens}`);
    if (!isCost(cost)) throw bad(`a cost is from 0 to ${MOST_COST}, not ${cost}`);
    if (key !== undefined) this.#checkKey(key);
    const counted = { tokens, billionths: Math.round(cost * BILLION) };
    this.#sum = plus(this.#sum, counted);
    if (key !== undefined) this.#byKey.set(key, plus(this.#byKey.get(key), counted));
  }

  #checkKey(key: unknown): void {
    if (typeof key !== "string" || key.length < 1 || key.length > KEY_LIMIT)
      throw bad(`a key has 1 to ${KEY_LIMIT} characters`);
    this.#keys.add(key);
    if (this.#keys.size > KEYS_LIMIT) throw bad(`an attempt has ${KEYS_LIMIT} keys at the most`);
  }

  get isEmpty(): boolean {
    return this.#sum === undefined;
  }

  /** Takes what is to be told; undefined if there is nothing. */
  take(): Spent | undefined {
    if (this.#sum === undefined) return undefined;
    const spent = { ...this.#sum, byKey: this.#byKey };
    this.#sum = undefined;
    this.#byKey = new Map();
    return spent;
  }
}

/** What an attempt tells. */
export interface Spent extends Counted {
  byKey: ReadonlyMap<string, Counted>;
}

/** A sum as Redis holds it, `TOKENS BILLIONTHS`, perhaps with more behind. */
export function parseUsage(stored: string): Usage {
  const [tokens, billionths] = stored.split(" ").map(Number) as [number, number];
  return { tokens, cost: billionths / BILLION };
}

/** A budget as Redis holds it: `TOKENS BILLIONTHS`, `-` where there is no limit. */
export function encodeBudget({ tokens, cost }: Budget): string {
  return `${tokens ?? "-"} ${cost === undefined ? "-" : Math.round(cost * BILLION)}`;
}

export function parseBudget(stored: string): Budget {
  const [tokens, billionths] = stored.split(" ");
  return {
    ...(tokens === "-" ? {} : { tokens: Number(tokens) }),
    ...(billionths === "-" ? {} : { cost: Number(billionths) / BILLION }),
  };
}

const BUDGET_RULE = `a budget is {tokens?, cost?}, whole tokens from 0 to ${MOST_TOKENS} and a cost from 0 to ${MOST_COST}`;

/** @throws DefinitionError */
export function definedBudget(where: string, budget: Budget | undefined): Budget | undefined {
  if (budget !== undefined && !isBudget(budget)) throw new DefinitionError(`${where}: ${BUDGET_RULE}`);
  return budget;
}

/** @throws InvalidInputError */
export function givenBudget(budget: Budget | undefined): Budget | undefined {
  if (budget !== undefined && !isBudget(budget))
    throw new InvalidInputError("The budget is not one.", [{ path: ["budget"], message: BUDGET_RULE }]);
  return budget;
}

function isBudget(budget: unknown): budget is Budget {
  if (typeof budget !== "object" || budget === null) return false;
  const { tokens, cost, ...rest } = budget as Budget;
  if (Object.keys(rest).length > 0 || (tokens === undefined && cost === undefined)) return false;
  return (tokens === undefined || isTokens(tokens)) && (cost === undefined || isCost(cost));
}

const isTokens = (value: unknown) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_TOKENS;
const isCost = (value: unknown) => typeof value === "number" && value >= 0 && value <= MOST_COST;

function plus(a: Counted | undefined, b: Counted): Counted {
  if (a === undefined) return b;
  return { tokens: a.tokens + b.tokens, billionths: a.billionths + b.billionths };
}

function bad(what: string): FatalError {
  return new FatalError(`Usage: ${what}.`, { code: "bad_usage" });
}
