import { InvalidInputError } from "../errors.ts";
import { EVENT_TYPES, type RunEvent } from "../events.ts";
import { ID_PATTERN, NAME_PATTERN } from "../ids.ts";

/** Progress and output come often, and are for those who watch: a subscription gets them only by name. */
const BY_NAME_ONLY: ReadonlySet<string> = new Set(["step.progress", "step.output"]);
const DEFAULT_BYTES = 67_108_864;
const LEAST_BYTES = 16_384;
const MOST_BYTES = 17_179_869_184;
const MOST_NAMES = 100;

/** Which events a group of consumers gets. */
export interface SubscriptionOptions {
  /** 1 to 48 of `A-Z a-z 0-9 _ -`. Each group gets every event that it takes, once for all of its consumers. */
  group: string;
  /** Default: every type but `step.progress` and `step.output`. */
  events?: readonly RunEvent["type"][];
  /** Of runs of these workflows. Default: all. */
  workflows?: readonly string[];
  /** Of steps of these names; events of the run itself are left out then. Default: all, and the run's. */
  steps?: readonly string[];
  /** Of runs of this tenant. Default: of all tenants. */
  tenant?: string;
  /** Past so many bytes of events that are not handled yet it pauses. From 16 KB to 16 GB; default 64 MB. */
  maxBytes?: number;
}

export interface SubscriptionSettings extends SubscriptionOptions {
  events: readonly RunEvent["type"][];
  maxBytes: number;
}

/** Checks what a subscription is to be. @throws InvalidInputError */
export function subscriptionSettings(options: SubscriptionOptions): SubscriptionSettings {
  const { group, events, workflows, steps, tenant, maxBytes = DEFAULT_BYTES } = options;
  checkGroup(group);
  const known = EVENT_TYPES as readonly string[];
  const taken = names("events", events, (type) => known.includes(type), `Expected some of ${known.join(", ")}`);
  const isName = (name: string) => NAME_PATTERN.test(name);
  const expected = "Expected names of 1 to 48 of A-Z a-z 0-9 _ -";
  if (tenant !== undefined && !(typeof tenant === "string" && ID_PATTERN.test(tenant)))
    throw invalid("tenant", "Expected 1 to 64 of A-Z a-z 0-9 _ -");
  if (!(Number.isInteger(maxBytes) && maxBytes >= LEAST_BYTES && maxBytes <= MOST_BYTES))
    throw invalid("maxBytes", `Expected a whole number from ${LEAST_BYTES} to ${MOST_BYTES}`);
  const ofWorkflows = names("workflows", workflows, isName, expected);
  const ofSteps = names("steps", steps, isName, expected);
  return {
    group,
    events: (taken as RunEvent["type"][] | undefined) ?? EVENT_TYPES.filter((type) => !BY_NAME_ONLY.has(type)),
    ...(ofWorkflows === undefined ? {} : { workflows: ofWorkflows }),
    ...(ofSteps === undefined ? {} : { steps: ofSteps }),
    ...(tenant === undefined ? {} : { tenant }),
    maxBytes,
  };
}

/** @throws InvalidInputError */
export function checkGroup(group: unknown): void {
  if (typeof group !== "string" || !NAME_PATTERN.test(group))
    throw invalid("group", "Expected 1 to 48 of A-Z a-z 0-9 _ -");
}

/** The same settings are the same text. */
export function encodeSettings({ group: _, ...settings }: SubscriptionSettings): string {
  return JSON.stringify(settings);
}

export function parseSettings(group: string, json: string): SubscriptionSettings {
  return { group, ...(JSON.parse(json) as Omit<SubscriptionSettings, "group">) };
}

/** Sorted, each once. */
function names(
  what: string,
  given: readonly string[] | undefined,
  fits: (name: string) => boolean,
  expected: string,
): string[] | undefined {
  if (given === undefined) return undefined;
  if (!Array.isArray(given) || given.length === 0 || given.length > MOST_NAMES)
    throw invalid(what, `Expected a list of 1 to ${MOST_NAMES}`);
  const odd = given.find((name: unknown) => typeof name !== "string" || !fits(name));
  if (odd !== undefined) throw invalid(what, `${expected}, not ${JSON.stringify(odd)}`);
  return [...new Set(given)].sort();
}

function invalid(path: string, message: string): InvalidInputError {
  return new InvalidInputError(`${path}: ${message}`, [{ path: [path], message }]);
}
