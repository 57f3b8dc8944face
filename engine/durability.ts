import { MillraceError } from "./errors.ts";
import { logger } from "./log.ts";
import type { Capabilities } from "./redis/capabilities.ts";
import { CALL_DEADLINE_MS, type Call } from "./redis/client.ts";
import type { Durability } from "./views.ts";

const log = logger("durability");

/**
 * How well a run is to be stored before its start is answered. `memory`: as the server does without waiting. `disk`: fsynced.
 * `replicas`: confirmed by so many replicas, of a cluster by so many of the run's master. `timeoutMs`: how long that may take,
 * 1 to 4,000; default 2,000. A file that is fsynced every second takes up to that long.
 */
export type DurabilityOption = "memory" | "disk" | { replicas: number; timeoutMs?: number };

/** A level that has to be waited for. */
export interface WantedDurability {
  level: Durability;
  /** What is waited with. */
  wait: Call;
  /** What is missing, in words, by the wait's reply; undefined if the level is reached. */
  missing(reply: unknown): string | undefined;
}

const MOST_REPLICAS = 100;
const DEFAULT_MS = 2_000;
/** A call must be answered before its own deadline. */
const MOST_MS = CALL_DEADLINE_MS - 1_000;

/** What a server gives by itself: fsynced before the reply only where that is never put off. */
export function givenBy({ appendOnly, fsync, fsyncDuringRewrite }: Capabilities): Durability {
  return appendOnly === true && fsync === "always" && fsyncDuringRewrite === true ? "disk" : "memory";
}

/**
 * What a connection has to wait for.
 *
 * @param try_ makes a call at every server that runs may be stored at
 * @returns undefined if there is nothing to wait for
 * @throws MillraceError `bad_option`; `durability` if the server cannot do it
 */
export async function wantedOf(
  option: DurabilityOption | undefined,
  known: Capabilities,
  try_: (...call: Call) => Promise<unknown>,
): Promise<WantedDurability | undefined> {
  if (option === undefined || option === "memory") return undefined;
  if (option === "disk") return givenBy(known) === "disk" ? undefined : disk(known, try_);
  if (typeof option !== "object" || option === null) throw badOption('"memory", "disk" or { replicas }');
  const { replicas, timeoutMs = DEFAULT_MS } = option;
  if (!isWhole(replicas, MOST_REPLICAS)) throw badOption(`{ replicas } with a whole number from 1 to ${MOST_REPLICAS}`);
  if (!isWhole(timeoutMs, MOST_MS)) throw badOption(`{ timeoutMs } with a whole number from 1 to ${MOST_MS}`);
  try {
    await try_("WAIT", 0, 1);
  } catch (cause) {
    throw new MillraceError("durability", `Redis does not let this user wait for replicas: ${text(cause)}`, { cause });
  }
  if (known.replicas !== undefined && known.replicas < replicas)
    log.warn("{known} replicas are connected, and starts are to be confirmed by {replicas}", {
      ...{ known: known.replicas, replicas },
    });
  const missing = (reply: unknown) =>
    typeof reply === "number" && reply >= replicas
      ? undefined
      : `${typeof reply === "number" ? reply : "an unknown number"} of ${replicas} replicas confirmed it within ${timeoutMs} ms`;
  return { level: "replicated", wait: ["WAIT", replicas, timeoutMs], missing };
}

async function disk(known: Capabilities, try_: (...call: Call) => Promise<unknown>): Promise<WantedDurability> {
  try {
    // Unknown before Redis 7.2; and an error where there is no append-only file.
    await try_("WAITAOF", 1, 0, 1);
  } catch (cause) {
    const { appendOnly = "unknown", fsync = "unknown", fsyncDuringRewrite = "unknown", version = "unknown" } = known;
    throw new MillraceError(
      "durability",
      'Redis cannot store runs at durability "disk". It takes `appendonly yes` with `appendfsync always` and ' +
        "`no-appendfsync-on-rewrite no`, or the append-only file and Redis 7.2, which can be waited for (WAITAOF). " +
        `Here the append-only file is ${flag(appendOnly)}, appendfsync ${fsync}, fsync during rewrites ` +
        `${flag(fsyncDuringRewrite)}, version ${version}: ${text(cause)}`,
      { cause },
    );
  }
  const missing = (reply: unknown) =>
    Array.isArray(reply) && Number(reply[0]) >= 1 ? undefined : `it was not fsynced within ${DEFAULT_MS} ms`;
  return { level: "disk", wait: ["WAITAOF", 1, 0, DEFAULT_MS], missing };
}

function flag(value: boolean | string): string {
  return value === true ? "on" : value === false ? "off" : String(value);
}

function isWhole(value: unknown, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most;
}

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function badOption(takes: string): MillraceError {
  return new MillraceError("bad_option", `durability takes ${takes}`);
}
