import { afterEach, describe, expect, test } from "vitest";
import { redisBlobs } from "../../../engine/redis-blobs.ts";
import { bytesOf, inChunks } from "../../support/blob-bytes.ts";
import { blobContract } from "../../support/blob-contract.ts";
import { engineUrl, freshNamespace, leftovers, rawRedis, redisUrl } from "../../support/redis.ts";

const opened: { close(): void }[] = [];
afterEach(() => {
  for (const store of opened.splice(0)) store.close();
});

async function open(namespace: string, maxBytes?: number) {
  const store = await redisBlobs({ url: engineUrl, namespace, maxBytes });
  opened.push(store);
  return store;
}

describe("in Redis", () => {
  blobContract(async () => {
    const namespace = freshNamespace();
    const maxBytes = 110 * 1_048_576;
    const kept = () => leftovers(redisUrl, namespace);
    return {
      blobs: await open(namespace, maxBytes),
      other: await open(namespace, maxBytes),
      kept,
      async keptBytes() {
        const contents = (await kept()).filter((key) => key.endsWith("}"));
        const chunks = await Promise.all(contents.map((key) => rawRedis().hvalsBuffer(key)));
        return chunks.flat().reduce((sum, chunk) => sum + chunk.byteLength, 0);
      },
    };
  });
});

const document = { tenant: "acme", name: "a", type: "text/plain" };

test("a blob has 64 MB at the most, or what is said", async () => {
  const blobs = await open(freshNamespace(), 1_000);
  await expect(blobs.put(document, inChunks(bytesOf(1_001)))).rejects.toMatchObject({ code: "blob_too_large" });
  expect(await blobs.put(document, inChunks(bytesOf(1_000)), { maxBytes: 5_000 })).toMatchObject({ size: 1_000 });
  await expect(redisBlobs({ url: engineUrl, maxBytes: 0 })).rejects.toMatchObject({ code: "bad_option" });
});

test("what is half written expires; what is whole does not", async () => {
  const namespace = freshNamespace();
  const [blobs, redis] = [await open(namespace), rawRedis()];
  const expiring = async () => {
    const keys = (await leftovers(redisUrl, namespace)).filter((key) => key.endsWith("}"));
    return Promise.all(keys.map((key) => redis.ttl(key)));
  };
  const during: number[][] = [];
  async function* body() {
    yield* inChunks(bytesOf(600_000));
    during.push(await expiring());
    yield bytesOf(10);
  }
  await blobs.put(document, body());
  expect(during).toEqual([[expect.toSatisfy((seconds: number) => seconds > 3_000)]]);
  expect(await expiring()).toEqual([-1]);
});

test("one that Redis has dropped while it was written fails, and leaves nothing", async () => {
  const namespace = freshNamespace();
  const [blobs, redis] = [await open(namespace), rawRedis()];
  async function* body() {
    yield* inChunks(bytesOf(600_000));
    for (const key of await leftovers(redisUrl, namespace)) await redis.unlink(key);
    yield* inChunks(bytesOf(600_000));
  }
  await expect(blobs.put(document, body())).rejects.toMatchObject({ code: "unavailable" });
  expect(await leftovers(redisUrl, namespace)).toEqual([]);
});
