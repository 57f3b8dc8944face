import { InvalidInputError } from "./errors.ts";
import type { PartitionKeys } from "./keys.ts";
import type { Call, Client } from "./redis/client.ts";
import { pairs } from "./run-record.ts";
import { parseUsage, type Usage } from "./usage.ts";

const DAY_MS = 86_400_000;

/** Whose usage is wanted, and of which days. */
export interface UsageQuery {
  tenant?: string;
  /** Only what was said to be on this key's account. */
  key?: string;
  workflow?: string;
  /** Days in UTC, `YYYY-MM-DD`, both included. Default: all that is kept, 92 days. */
  from?: string;
  to?: string;
}

/** What a workflow has used on one day. */
export interface UsageDay extends Usage {
  /** In UTC, `YYYY-MM-DD`. */
  day: string;
  workflow: string;
}

/** What was used, in all and by day. */
export interface UsageView extends Usage {
  /** By day, then by workflow; without those on which nothing was used. */
  days: UsageDay[];
}

/** @throws InvalidInputError, UnavailableError */
export async function usageSums(
  client: Client,
  partitions: readonly PartitionKeys[],
  { tenant = "default", key, workflow, from, to }: UsageQuery,
): Promise<UsageView> {
  const [first, last] = [dayOf("from", from) ?? 0, dayOf("to", to) ?? Number.POSITIVE_INFINITY];
  const reads = partitions.map((keys): Call => {
    return ["HGETALL", key === undefined ? keys.usage(tenant) : keys.usageOfKey(tenant, key)];
  });
  const sums = new Map<string, { day: number; workflow: string; tokens: number; billionths: number }>();
  for (const flat of (await client.pipeline(reads)) as string[][]) {
    for (const [field, value] of Object.entries(pairs(flat))) {
      const [day, tokens, billionths] = value.split(" ").map(Number) as [number, number, number];
      const of = field.slice(0, field.indexOf("|"));
      if (day < first || day > last || (workflow !== undefined && of !== workflow)) continue;
      const sum = sums.get(`${day} ${of}`) ?? { day, workflow: of, tokens: 0, billionths: 0 };
      sum.tokens += tokens;
      sum.billionths += billionths;
      sums.set(`${day} ${of}`, sum);
    }
  }
  let [tokens, billionths] = [0, 0];
  const days = [...sums.values()].sort((a, b) => a.day - b.day || (a.workflow < b.workflow ? -1 : 1));
  for (const day of days) {
    tokens += day.tokens;
    billionths += day.billionths;
  }
  return {
    ...parseUsage(`${tokens} ${billionths}`),
    days: days.map((each) => ({
      day: new Date(each.day * DAY_MS).toISOString().slice(0, 10),
      workflow: each.workflow,
      ...parseUsage(`${each.tokens} ${each.billionths}`),
    })),
  };
}

function dayOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms))
    throw new InvalidInputError(`The usage asked for has a bad ${name}.`, [
      { path: [name], message: "Expected a day, YYYY-MM-DD" },
    ]);
  return ms / DAY_MS;
}
