import { MillraceError } from "../errors.ts";
import { logger } from "../log.ts";
import type { Client } from "./client.ts";

const log = logger("redis");

/** The scripts use what came with this version. */
const OLDEST = [6, 2] as const;

/** What is known of a server, or of the worst of several; undefined where it does not say. */
export interface Capabilities {
  version?: string;
  /** Whether it has an append-only file. */
  appendOnly?: boolean;
  /** `always`, `everysec` or `no`. */
  fsync?: string;
  /** Whether it fsyncs while it rewrites the file, too. */
  fsyncDuringRewrite?: boolean;
  /** What it does when its memory is full. */
  eviction?: string;
  /** How many are connected. */
  replicas?: number;
}

/**
 * Looks at every server that runs are stored at, and says in the log what it has found. What a user of few rights may not ask
 * for, and what a node that is away cannot say, is not known: nothing is promised of it, and nothing refused.
 *
 * @throws MillraceError `redis_version`, `eviction_policy`; UnavailableError
 */
export async function checkCapabilities(client: Client): Promise<Capabilities> {
  // Of a cluster, the nodes are known from the first reply on.
  await client.call("PING");
  const nodes = client.masters();
  const each = await Promise.all(nodes.map(capabilitiesOf));
  for (const known of each) {
    const refusal = versionRefusal(known) ?? evictionRefusal(known);
    if (refusal !== undefined) throw refusal;
  }
  const known = each.reduce(worst);
  log.info("Redis {version}: append-only file {appendOnly}, fsync {fsync}, eviction {eviction}, {replicas} replicas", {
    ...{ version: "unknown", appendOnly: "unknown", fsync: "unknown", eviction: "unknown", replicas: "unknown" },
    ...known,
    nodes: nodes.length,
  });
  return known;
}

/** Why a server of this version is refused; undefined if it is not. */
export function versionRefusal({ version }: Capabilities): MillraceError | undefined {
  if (version === undefined || !isOlder(version)) return undefined;
  const message = `This is Redis ${version}, and Millrace needs ${OLDEST.join(".")} or later.`;
  return new MillraceError("redis_version", message);
}

/** Why a server that evicts so is refused; undefined if it is not. */
export function evictionRefusal({ eviction }: Capabilities): MillraceError | undefined {
  if (eviction?.startsWith("allkeys-") !== true) return undefined;
  return new MillraceError(
    "eviction_policy",
    `Redis has maxmemory-policy ${eviction}: when its memory is full it would throw runs away. Set it to noeviction.`,
  );
}

/** What one server says of itself. */
export async function capabilitiesOf(client: Pick<Client, "call">): Promise<Capabilities> {
  const info = linesOf(String((await asked(client, "INFO")) ?? ""));
  const version = info.get("redis_version") ?? fieldOf(await asked(client, "HELLO"), "version");
  const config = await asked(client, "CONFIG", "GET", "*append*");
  const said = (name: string) => fieldOf(config, name);
  const [aof, rewrite, replicas] = [
    info.get("aof_enabled"),
    said("no-appendfsync-on-rewrite"),
    info.get("connected_slaves"),
  ];
  const appendOnly = said("appendonly") ?? (aof === undefined ? undefined : aof === "1" ? "yes" : "no");
  return defined({
    version,
    appendOnly: appendOnly === undefined ? undefined : appendOnly === "yes",
    fsync: said("appendfsync"),
    fsyncDuringRewrite: rewrite === undefined ? undefined : rewrite === "no",
    eviction: info.get("maxmemory_policy"),
    replicas: replicas === undefined ? undefined : Number(replicas),
  });
}

/** Undefined where this user may not ask, or the node of a cluster does not answer. */
export async function asked(client: Pick<Client, "call">, ...call: [string, ...string[]]): Promise<unknown> {
  try {
    return await client.call(...call);
  } catch (error) {
    log.debug("{call} is not known: {error}", { call: call.join(" "), error });
    return undefined;
  }
}

/** Of two servers, what holds for both. */
export function worst(a: Capabilities, b: Capabilities): Capabilities {
  const both = <T>(x: T | undefined, y: T | undefined, better: (x: T, y: T) => boolean) =>
    x === undefined || y === undefined ? undefined : better(x, y) ? y : x;
  const order = ["no", "everysec", "always"];
  return defined({
    version: both(a.version, b.version, (x, y) => x > y),
    appendOnly: both(a.appendOnly, b.appendOnly, (x) => x),
    fsync: both(a.fsync, b.fsync, (x, y) => order.indexOf(x) > order.indexOf(y)),
    fsyncDuringRewrite: both(a.fsyncDuringRewrite, b.fsyncDuringRewrite, (x) => x),
    eviction: both(a.eviction, b.eviction, (x) => x === "noeviction"),
    replicas: both(a.replicas, b.replicas, (x, y) => x > y),
  });
}

function defined(known: { [Name in keyof Capabilities]: Capabilities[Name] | undefined }): Capabilities {
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** What `INFO` says, by name. */
export function linesOf(info: string): Map<string, string> {
  const lines = info.split("\r\n").map((line) => line.split(":", 2));
  return new Map(lines.flatMap(([name, value]) => (value === undefined ? [] : [[name!, value] as const])));
}

/** Of a reply of names and values in turn. */
export function fieldOf(reply: unknown, name: string): string | undefined {
  if (!Array.isArray(reply)) return undefined;
  const at = reply.findIndex((each, i) => i % 2 === 0 && each === name);
  return at < 0 ? undefined : String(reply[at + 1]);
}
