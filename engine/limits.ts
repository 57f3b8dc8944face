import { hexDigest } from "./digest.ts";
import { DefinitionError, FatalError } from "./errors.ts";
import { isKey, KEY_RULE } from "./user-key.ts";

/** How much of a step may go on, over all worker processes. */
export interface Limit {
  /** How many at once. */
  concurrency?: number;
  /** How many may start in any stretch of `windowMs`. Each counts for up to a twentieth longer. */
  rate?: { count: number; windowMs: number };
  /**
   * How many tokens, or any other unit, may be spent: what a handler says by `ctx.spend` is taken off when its attempt ends,
   * and comes back evenly. Nothing starts while there are none left.
   */
  tokens?: { perMinute: number };
}

/** The limits of a step: of all its runs together, or of each key by itself. Those that wait start round the keys. */
export interface Limits<I> extends Limit {
  /** Whose a run is, from the step's input: what has one key shares the limits. */
  key?: (input: I) => string;
  /** Limits over all keys together. */
  total?: Limit;
}

/** Of steps that have a handler. */
export interface Limited<I> {
  /** How much of this step may go on, over all processes. An attempt that fails gives its slot up, and waits again in front. */
  limits?: Limits<I>;
}

/** The limits of a step as the engine sees them. */
export interface StepLimits {
  readonly key: ((input: unknown) => unknown) | undefined;
  readonly own: Limit;
  readonly total: Limit;
}

/** The key of steps without one. Not a character of any other. */
const NO_KEY = "~";
const PLAIN_KEY = /^[A-Za-z0-9_.:@-]{1,64}$/;
const LIMIT_NAMES = ["concurrency", "rate", "tokens"];

/** @throws DefinitionError */
export function stepLimits(where: string, value: unknown): StepLimits {
  const refuse = (what: string): never => {
    throw new DefinitionError(`${where}: ${what}`);
  };
  const object = (name: string, given: unknown, names: readonly string[]): Record<string, unknown> => {
    if (typeof given !== "object" || given === null || Array.isArray(given)) return refuse(`${name} must be an object`);
    const odd = Object.keys(given).find((each) => !names.includes(each));
    if (odd !== undefined) refuse(`${name} has no ${JSON.stringify(odd)}: it has ${names.join(", ")}`);
    return given as Record<string, unknown>;
  };
  const whole = (name: string, given: unknown, from: number, to: number): void => {
    if (!Number.isInteger(given) || (given as number) < from || (given as number) > to)
      refuse(`${name} must be a whole number from ${from} to ${to}`);
  };
  const limit = (name: string, { concurrency, rate, tokens }: Record<string, unknown>): Limit => {
    if (concurrency !== undefined) whole(`${name}.concurrency`, concurrency, 1, 100_000);
    if (rate !== undefined) {
      const { count, windowMs } = object(`${name}.rate`, rate, ["count", "windowMs"]);
      whole(`${name}.rate.count`, count, 1, 1_000_000);
      whole(`${name}.rate.windowMs`, windowMs, 100, 31 * 86_400_000);
    }
    if (tokens !== undefined) {
      const { perMinute } = object(`${name}.tokens`, tokens, ["perMinute"]);
      whole(`${name}.tokens.perMinute`, perMinute, 1, 1_000_000_000);
    }
    return { concurrency, rate, tokens } as Limit;
  };
  const given = object("limits", value, ["key", "total", ...LIMIT_NAMES]);
  const { key, total } = given;
  if (key !== undefined && typeof key !== "function") refuse("limits.key must be a function");
  if (total !== undefined && key === undefined) refuse("limits.total goes with limits.key");
  const all: Record<string, unknown> = total === undefined ? {} : object("limits.total", total, LIMIT_NAMES);
  if (![given, all].some((each) => LIMIT_NAMES.some((name) => each[name] !== undefined)))
    refuse(`limits must have one of ${LIMIT_NAMES.join(", ")}`);
  return { key: key as StepLimits["key"], own: limit("limits", given), total: limit("limits.total", all) };
}

/** What each of so many partitions may have of the limits that hold over all of them: those of a key are all in one. */
export function limitsPerPartition({ key, own, total }: StepLimits, partitions: number): StepLimits {
  if (partitions === 1) return { key, own, total };
  const part = (whole: number) => Math.floor(whole / partitions);
  const share = ({ concurrency, rate, tokens }: Limit): Limit => ({
    ...(concurrency === undefined ? {} : { concurrency: part(concurrency) }),
    ...(rate === undefined ? {} : { rate: { ...rate, count: part(rate.count) } }),
    ...(tokens === undefined ? {} : { tokens: { perMinute: part(tokens.perMinute) } }),
  });
  return { key, own: key === undefined ? share(own) : own, total: share(total) };
}

/**
 * Refuses limits that so many partitions cannot keep together.
 *
 * @throws DefinitionError
 */
export function checkPartitioned(where: string, limits: StepLimits, isPartitioned: boolean, partitions: number): void {
  if (partitions === 1) return;
  if (limits.key !== undefined && !isPartitioned)
    throw new DefinitionError(
      `${where}: limits by key need the workflow's partitionBy, which keeps the runs of a key in one of ${partitions} partitions`,
    );
  const { own, total } = limitsPerPartition(limits, partitions);
  for (const { concurrency, rate, tokens } of [own, total])
    for (const [name, share] of Object.entries({ concurrency, rate: rate?.count, tokens: tokens?.perMinute }))
      if (share === 0)
        throw new DefinitionError(
          `${where}: limits of ${name} over all runs are shared by ${partitions} partitions, and are too few for that; ` +
            "with a key that is always the same, and partitionBy that, they hold in one",
        );
}

/** What a gate keeps of them: four words for a key's own limits, four for those over all. */
export function encodeLimits({ own, total }: StepLimits): string {
  const words = ({ concurrency, rate, tokens }: Limit) => [concurrency, rate?.count, rate?.windowMs, tokens?.perMinute];
  return [...words(own), ...words(total)].map((word) => word ?? "-").join(" ");
}

/**
 * The key of an input. One that is long or has odd characters is kept as a digest.
 *
 * @throws FatalError `bad_limit_key`
 */
export async function limitKey({ key }: StepLimits, input: unknown): Promise<string> {
  if (key === undefined) return NO_KEY;
  const made = key(input);
  if (!isKey(made)) throw new FatalError(`The key of limits is ${KEY_RULE}.`, { code: "bad_limit_key" });
  return PLAIN_KEY.test(made) ? made : `#${(await hexDigest("SHA-256", made)).slice(0, 32)}`;
}

/** The key that a ticket is of, as views show it; undefined if the step's limits have none. */
export function keyOfTicket(ticket: string): string | undefined {
  const key = ticket.slice(0, ticket.indexOf("|"));
  return key === NO_KEY ? undefined : key;
}
