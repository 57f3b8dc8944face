import { type BlobStore, bodyOf, readBlob } from "../blobs/blob-store.ts";
import { MillraceError } from "../errors.ts";
import type { NamespaceKeys } from "../keys.ts";
import type { Client } from "../redis/client.ts";
import type { Connections } from "../redis/connections.ts";
import { bounded } from "../redis/deadline.ts";
import type { Subscriber } from "../redis/subscriber.ts";
import { serverTimeMs } from "../redis/time.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const PINGS = 20;
/** Each step of a run takes several round trips: slower than this is felt. */
const SLOW_MS = 10;
/** Times of runs are Redis's, those of keys, tokens and signatures this machine's. */
const SKEW_MS = 1_000;
const BLOCK_MS = 200;
/** What is waited for is there by then, or does not come. */
const PATIENCE_MS = 3_000;
/** Beyond what a run's value may have in Redis. */
const BLOB_BYTES = 40_000;

export async function latencyFinding(client: Client): Promise<Finding> {
  const took: number[] = [];
  for (let i = 0; i < PINGS; i += 1) {
    const from = performance.now();
    await client.call("PING");
    took.push(performance.now() - from);
  }
  took.sort((a, b) => a - b);
  const median = took[PINGS / 2]!;
  const found = `a round trip takes ${median.toFixed(2)} ms, at most ${took.at(-1)!.toFixed(2)} ms of ${PINGS}`;
  return median <= SLOW_MS ? ok("latency", found) : warn("latency", found, "Run workers nearer to Redis.");
}

export async function clockFinding(client: Client): Promise<Finding> {
  let best = { tripMs: Number.POSITIVE_INFINITY, aheadMs: 0 };
  for (let i = 0; i < 3; i += 1) {
    const from = Date.now();
    const server = serverTimeMs((await client.call("TIME")) as [string, string]);
    const to = Date.now();
    if (to - from < best.tripMs) best = { tripMs: to - from, aheadMs: server - (from + to) / 2 };
  }
  const apart = Math.round(Math.abs(best.aheadMs));
  if (apart <= SKEW_MS) return ok("clock", `Redis and this machine are ${apart} ms apart`);
  const which = best.aheadMs > 0 ? "ahead of" : "behind";
  return warn("clock", `Redis is ${apart} ms ${which} this machine`, "Keep the clocks of both with NTP.");
}

export async function scriptsFinding(client: Client, key: string): Promise<Finding> {
  const source = "return redis.call('EXISTS', KEYS[1])";
  for (let i = 0; i < 2; i += 1) await client.run({ name: "checkup", source }, [key], []);
  return ok("scripts", "they are taken, and run by their digests");
}

/** Reads as workers do: the first read has to wait and come back with nothing, the second with what was added. */
export async function readsFinding(client: Client, connections: Connections, key: string): Promise<Finding> {
  await client.call("XGROUP", "CREATE", key, "checkup", "0", "MKSTREAM");
  const reader = await connections.reader(key);
  const read = (blockMs: number) =>
    bounded(
      reader.call("XREADGROUP", "GROUP", "checkup", "a", "COUNT", 1, "BLOCK", blockMs, "STREAMS", key, ">"),
      blockMs + PATIENCE_MS,
    );
  try {
    const from = performance.now();
    const nothing = await read(BLOCK_MS);
    const waitedMs = performance.now() - from;
    if (nothing !== null || waitedMs < BLOCK_MS / 2)
      return fail("reads", `a read that blocks for ${BLOCK_MS} ms came back after ${Math.round(waitedMs)} ms`, ADVICE);
    const waiting = read(PATIENCE_MS);
    const addedAt = performance.now();
    const [, entry] = await Promise.all([client.call("XADD", key, "*", "a", "a"), waiting]);
    if (entry === null) return fail("reads", "a blocking read was not woken by what was added", ADVICE);
    return ok("reads", `a blocking read is woken within ${(performance.now() - addedAt).toFixed(1)} ms`);
  } finally {
    reader.close();
  }
}

const ADVICE = "Reach Redis itself: a proxy between holds no blocking reads.";

export async function channelsFinding(
  client: Client,
  subscriber: Subscriber,
  names: NamespaceKeys,
  id: string,
): Promise<Finding> {
  const channel = names.checkup(id);
  let resolve = (): void => {};
  const heard = new Promise<void>((resolve_) => {
    resolve = resolve_;
  });
  const one = subscriber.listen(channel, { message: () => resolve(), missed: () => {} });
  const all = subscriber.listenPattern(names.everyRunChannel(), { message: () => {}, missed: () => {} });
  // What the other fails with is nobody's then.
  for (const { heard } of [one, all]) heard.catch(() => {});
  try {
    await bounded(Promise.all([one.heard, all.heard]), PATIENCE_MS, "Redis did not answer a subscription");
    const from = performance.now();
    await client.call("PUBLISH", channel, "");
    await bounded(heard, PATIENCE_MS, "what was published was not heard");
    return ok("channels", `what is published is heard within ${(performance.now() - from).toFixed(1)} ms`);
  } finally {
    one.leave();
    all.leave();
  }
}

export async function blobsFinding(blobs: BlobStore, id: string): Promise<Finding> {
  const tenant = "default";
  const bytes = new TextEncoder().encode(id.repeat(Math.ceil(BLOB_BYTES / id.length)));
  const { id: blob } = await blobs.put({ tenant, name: "checkup", type: "text/plain" }, bodyOf(bytes));
  try {
    const read = await readBlob(blobs, tenant, blob);
    if (!bytes.every((byte, i) => byte === read[i]))
      throw new MillraceError("blobs", "What was read is not what was written.");
  } finally {
    await blobs.delete(tenant, blob);
  }
  return ok("blobs", "a document was written, read and removed");
}
