import { givenBy } from "../durability.ts";
import { memoryOf, WATERMARK } from "../memory-watch.ts";
import {
  asked,
  type Capabilities,
  capabilitiesOf,
  evictionRefusal,
  fieldOf,
  linesOf,
  versionRefusal,
} from "../redis/capabilities.ts";
import type { Client } from "../redis/client.ts";
import { faultsOf } from "./faults.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** What one server says of itself, and is asked for by nobody but a check. */
export interface ServerFacts {
  address: string;
  known: Capabilities;
  software: "Redis" | "Valkey";
  /** Its own: Valkey tells another one for the sake of old clients. */
  release?: string;
  /** `standalone`, `cluster` or `sentinel`. */
  mode?: string;
  /** `master` or `slave`. */
  role?: string;
  memory?: { usedBytes: number; limitBytes: number };
  /** With fewer replicas it refuses writes. */
  minReplicas?: number;
}

/** Above this share of its limit a server has little room left. */
const NEARLY_FULL = 0.75;
const UNKNOWN = "This user may not ask";

export async function factsOf(client: Client): Promise<ServerFacts> {
  const text = String((await asked(client, "INFO")) ?? "");
  const info = linesOf(text);
  const least = fieldOf(await asked(client, "CONFIG", "GET", "min-replicas-to-write"), "min-replicas-to-write");
  const known = await capabilitiesOf(client);
  const release = info.get("valkey_version") ?? known.version;
  const mode = info.get("redis_mode") ?? info.get("server_mode");
  const role = info.get("role");
  return {
    ...{ address: client.address, known, software: info.has("valkey_version") ? "Valkey" : "Redis" },
    ...(release === undefined ? {} : { release }),
    ...(mode === undefined ? {} : { mode }),
    ...(role === undefined ? {} : { role }),
    ...(info.has("used_memory") ? { memory: memoryOf(text) } : {}),
    ...(least === undefined ? {} : { minReplicas: Number(least) }),
  };
}

export function versionFinding({ known, software, release }: ServerFacts): Finding {
  if (release === undefined) return warn("version", "not known", `${UNKNOWN} for it: allow +info.`);
  const refusal = versionRefusal(known);
  if (refusal !== undefined) return fail("version", refusal.message, "Upgrade the server.");
  const faults = faultsOf(software, release);
  const name = `${software} ${release}`;
  if (faults.length === 0) return ok("version", name);
  const advice = "Upgrade to the newest patch; a distribution may have mended it under the same number.";
  return warn("version", `${name}: ${faults.join("; ")}`, advice);
}

export function evictionFinding({ known }: ServerFacts): Finding {
  const { eviction } = known;
  if (eviction === undefined) return warn("eviction", "not known", `${UNKNOWN} for it: allow +info.`);
  const refusal = evictionRefusal(known);
  const set = "CONFIG SET maxmemory-policy noeviction, and in its configuration file.";
  if (refusal !== undefined) return fail("eviction", refusal.message, set);
  if (eviction === "noeviction") return ok("eviction", `maxmemory-policy ${eviction}`);
  return warn(
    "eviction",
    `maxmemory-policy ${eviction}: runs are kept, and none is refused before memory is full`,
    set,
  );
}

export function memoryFinding({ memory }: ServerFacts): Finding {
  if (memory === undefined) return warn("memory", "not known", `${UNKNOWN} for it: allow +info.`);
  const { usedBytes, limitBytes } = memory;
  if (limitBytes === 0)
    return warn(
      "memory",
      `${megabytes(usedBytes)} used, without a limit: it grows until the machine ends it`,
      "Set maxmemory to what the machine can spare: then new runs are refused in time.",
    );
  const share = usedBytes / limitBytes;
  const found = `${megabytes(usedBytes)} of ${megabytes(limitBytes)} used (${Math.round(100 * share)} %)`;
  const advice = "Raise maxmemory, or keep ended runs for a shorter time.";
  if (share > WATERMARK) return fail("memory", `${found}: new runs are refused above ${100 * WATERMARK} %`, advice);
  return share > NEARLY_FULL ? warn("memory", found, advice) : ok("memory", found);
}

export function persistenceFinding({ known }: ServerFacts): Finding {
  const { appendOnly, fsync, fsyncDuringRewrite } = known;
  if (appendOnly === undefined)
    return warn("persistence", "not known", `${UNKNOWN} for it: allow +info and +config|get.`);
  if (!appendOnly)
    return warn(
      "persistence",
      "no append-only file: a restart of Redis takes back what it had stored",
      "Set appendonly yes.",
    );
  if (fsync === undefined)
    return warn(
      "persistence",
      "append-only file, how often it is fsynced is not known",
      `${UNKNOWN} for it: allow +config|get.`,
    );
  if (fsync === "no")
    return warn(
      "persistence",
      "appendfsync no: a crash of the machine takes back half a minute",
      "Set appendfsync everysec.",
    );
  if (givenBy(known) === "disk") return ok("persistence", "append-only file, fsynced before each reply");
  const during = fsyncDuringRewrite === false ? ", and not while it is rewritten" : "";
  return ok(
    "persistence",
    `append-only file, appendfsync ${fsync}${during}: a crash of the machine takes back seconds`,
  );
}

export function replicasFinding({ known, minReplicas }: ServerFacts): Finding {
  const { replicas } = known;
  if (replicas === undefined) return warn("replicas", "not known", `${UNKNOWN} for them: allow +info.`);
  if (replicas === 0) return ok("replicas", "none: what this server has is all there is");
  const found = `${replicas} connected`;
  if (minReplicas === undefined || minReplicas > 0)
    return ok("replicas", minReplicas === undefined ? found : `${found}, min-replicas-to-write ${minReplicas}`);
  return warn(
    "replicas",
    `${found}, min-replicas-to-write 0: a primary that is cut off goes on taking runs, which a failover drops`,
    "Set min-replicas-to-write 1 and min-replicas-max-lag 10.",
  );
}

/** How the servers are put together. */
export function connectionFinding(servers: readonly ServerFacts[]): Finding {
  const replica = servers.find(({ role }) => role === "slave");
  if (replica !== undefined)
    return fail("connection", `${replica.address} is a replica, and takes no writes`, "Name its primary in REDIS_URL.");
  const [first] = servers;
  if (first?.mode === "cluster") return ok("connection", `cluster of ${servers.length} primaries`);
  return ok("connection", `${first?.mode ?? "one"} server at ${first?.address}`);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(bytes < 104_857_600 ? 1 : 0)} MB`;
}
