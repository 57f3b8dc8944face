import { createHash, randomBytes } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../engine/ids.ts";
import { type BlobInfo, type BlobStore, bodyOf, readBlob } from "../../engine/index.ts";
import { bytesOf, inChunks, sha256 } from "./blob-bytes.ts";

/** A blob store that nobody else uses, and what its service holds. */
export interface StoreUnderTest {
  blobs: BlobStore;
  /** Another process's view of the same store. */
  other: BlobStore;
  /** Everything that is kept for it, by whatever names, half-way uploads too. */
  kept(): Promise<string[]>;
  /** The bytes that contents take, each counted once. */
  keptBytes(): Promise<number>;
}

const MB = 1_048_576;
const tenant = "acme";
const document = { tenant, name: "a.txt", type: "text/plain" };

async function* failingAfter(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* inChunks(bytes);
  throw new Error("the sender has gone");
}

const read = async (blobs: BlobStore, id: string, range?: { offset: number; length: number }) =>
  new Uint8Array(await new Response((await blobs.open(tenant, id, { range })).body).arrayBuffer());

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** The buffers that are in use: what only waits to be collected is collected before. */
function heldBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** What every blob store does. */
export function blobContract(fresh: () => Promise<StoreUnderTest>): void {
  let store: StoreUnderTest;
  let blobs: BlobStore;
  beforeEach(async () => {
    store = await fresh();
    blobs = store.blobs;
  });
  const put = (bytes: Uint8Array, more: { tenant?: string; run?: string } = {}) =>
    blobs.put({ ...document, ...more }, inChunks(bytes));

  describe("a blob", () => {
    test.each([0, 1, 262_144, 262_145, 4 * MB, 5 * MB, 11 * MB + 7])(
      "of %i bytes comes back as it was put, elsewhere too",
      async (size) => {
        const bytes = bytesOf(size);
        const blob = await put(bytes);
        expect(blob).toEqual({
          ...{ ...document, size, sha256: sha256(bytes) },
          ...{ id: expect.stringMatching(/^[0-9a-f]{32}$/), createdAt: expect.stringMatching(/Z$/) },
        });
        expect(await store.other.find(tenant, blob.id)).toEqual(blob);
        const opened = await store.other.open(tenant, blob.id);
        expect(opened.blob).toEqual(blob);
        expect(sha256(await readBlob(store.other, tenant, blob.id))).toBe(blob.sha256);
        await opened.body.cancel();
        await blobs.delete(tenant, blob.id);
        expect(await store.other.find(tenant, blob.id)).toBeUndefined();
        await expect(store.other.open(tenant, blob.id)).rejects.toMatchObject({ code: "not_found" });
        await blobs.delete(tenant, blob.id);
        expect(await store.kept()).toEqual([]);
      },
    );

    test("is of its tenant alone, and odd ids are of nobody", async () => {
      const { id } = await put(bytesOf(10));
      expect(await blobs.find("other", id)).toBeUndefined();
      await expect(blobs.open("other", id)).rejects.toMatchObject({ code: "not_found" });
      await blobs.delete("other", id);
      expect(await blobs.find(tenant, id)).toBeDefined();
      for (const odd of ["", "../x", "a/b", "x".repeat(65), `${id}x`])
        expect(await blobs.find(tenant, odd)).toBeUndefined();
      await expect(blobs.put({ ...document, tenant: "a/b" }, bodyOf("x"))).rejects.toMatchObject({
        code: "bad_tenant",
      });
    });

    test("is read in part, over the borders of what it is kept in", async () => {
      const bytes = bytesOf(6 * MB);
      const { id, size } = await put(bytes);
      for (const [offset, length] of [
        [0, 1],
        [0, size],
        [size - 1, 1],
        [262_143, 2],
        [262_144, 262_144],
        [5 * MB - 10, 20],
        [1_000_000, 2_000_000],
      ] as const) {
        const part = await read(blobs, id, { offset, length });
        expect([part.byteLength, sha256(part)]).toEqual([length, sha256(bytes.subarray(offset, offset + length))]);
      }
      for (const [offset, length] of [
        [0, size + 1],
        [size, 1],
        [-1, 1],
        [0, 0],
        [0.5, 1],
      ] as const)
        await expect(blobs.open(tenant, id, { range: { offset, length } })).rejects.toMatchObject({
          code: "bad_range",
        });
    });

    test("can be left in the middle", async () => {
      const { id } = await put(bytesOf(6 * MB));
      for (let i = 0; i < 20; i++) {
        const reader = (await blobs.open(tenant, id)).body.getReader();
        await reader.read();
        await reader.cancel();
      }
      expect((await read(blobs, id)).byteLength).toBe(6 * MB);
    });
  });

  describe("nothing is left of one", () => {
    test.each([0, 300_000, 11 * MB])("whose sender has gone after %i bytes", async (size) => {
      for (const more of [{}, { run: newRunId(0) }])
        await expect(blobs.put({ ...document, ...more }, failingAfter(bytesOf(size)))).rejects.toThrow("has gone");
      expect(await store.kept()).toEqual([]);
    });

    test.each([10, 300_000, 6 * MB])("that is larger than the %i bytes it may have", async (maxBytes) => {
      const bytes = bytesOf(maxBytes + 1);
      await expect(blobs.put(document, inChunks(bytes), { maxBytes })).rejects.toMatchObject({
        code: "blob_too_large",
      });
      expect(await store.kept()).toEqual([]);
      expect(await blobs.put(document, inChunks(bytes.subarray(1)), { maxBytes })).toMatchObject({ size: maxBytes });
    });
  });

  describe("the same bytes", () => {
    test("are kept once for a tenant, until the last document of them is deleted", async () => {
      const bytes = bytesOf(300_000);
      const [first, second, third] = [await put(bytes), await put(bytes), await put(bytes)] as const;
      expect(new Set([first.id, second.id, third.id]).size).toBe(3);
      expect(await store.keptBytes()).toBe(300_000);
      const others = await put(bytes, { tenant: "other" });
      expect(await store.keptBytes()).toBe(600_000);
      await blobs.delete("other", others.id);
      for (const [gone, left] of [
        [first, [second, third]],
        [third, [second]],
      ] as [BlobInfo, BlobInfo[]][]) {
        await blobs.delete(tenant, gone.id);
        await blobs.delete(tenant, gone.id);
        expect(await blobs.find(tenant, gone.id)).toBeUndefined();
        for (const { id } of left) expect(sha256(await read(store.other, id))).toBe(first.sha256);
      }
      await blobs.delete(tenant, second.id);
      expect(await store.kept()).toEqual([]);
    });

    test("of a run are its own", async () => {
      const run = newRunId(0);
      const bytes = bytesOf(1_000);
      const [uploaded, made] = [await put(bytes), await put(bytes, { run })];
      await blobs.deleteOf(tenant, run);
      expect(await blobs.find(tenant, made.id)).toBeUndefined();
      expect(sha256(await read(blobs, uploaded.id))).toBe(uploaded.sha256);
    });

    test("are there for whoever puts them while others are deleted", async () => {
      const bytes = bytesOf(1_000);
      let alive = await Promise.all(Array.from({ length: 4 }, () => put(bytes)));
      for (let round = 0; round < 6; round++) {
        // All of them go while as many come, from two processes.
        const gone = alive;
        const [came] = await Promise.all([
          Promise.all(gone.map((_, i) => (i % 2 ? blobs : store.other).put(document, inChunks(bytes)))),
          ...gone.map(({ id }, i) => (i % 2 ? store.other : blobs).delete(tenant, id)),
        ]);
        alive = came;
        for (const { id } of alive) expect(sha256(await read(blobs, id))).toBe(sha256(bytes));
        for (const { id } of gone) expect(await blobs.find(tenant, id)).toBeUndefined();
      }
      for (const { id } of alive) await blobs.delete(tenant, id);
      expect(await store.kept()).toEqual([]);
    });
  });

  describe("what belongs to a run", () => {
    test("goes with it; what belongs to another or to none stays", async () => {
      const [mine, other] = [newRunId(0), newRunId(0)];
      const gone = [await put(bytesOf(1), { run: mine }), await put(bytesOf(2), { run: mine })];
      const kept = [await put(bytesOf(3), { run: other }), await put(bytesOf(4))];
      const deleted = await put(bytesOf(5), { run: mine });
      await blobs.delete(tenant, deleted.id);
      await blobs.deleteOf(tenant, mine);
      for (const { id } of gone) expect(await blobs.find(tenant, id)).toBeUndefined();
      for (const { id, sha256: digest } of kept) expect(sha256(await read(blobs, id))).toBe(digest);
      await blobs.deleteOf(tenant, mine);
      await blobs.deleteOf(tenant, other);
      await blobs.delete(tenant, kept[1]!.id);
      expect(await store.kept()).toEqual([]);
    });

    test("stays until the last run is gone that it is shared with, whichever goes first", async () => {
      const [first, second, third] = [newRunId(0), newRunId(0), newRunId(0)];
      const { id, sha256: digest } = await put(bytesOf(100), { run: first });
      await blobs.share(tenant, first, second);
      await blobs.share(tenant, first, second);
      await blobs.share(tenant, second, third);
      for (const run of [second, first]) {
        await blobs.deleteOf(tenant, run);
        expect(sha256(await read(blobs, id))).toBe(digest);
      }
      await blobs.deleteOf(tenant, third);
      expect(await blobs.find(tenant, id)).toBeUndefined();
      expect(await store.kept()).toEqual([]);
    });

    test("is found all, however much it is", async () => {
      const run = newRunId(0);
      for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 4 }, () => put(randomBytes(8), { run })));
      await blobs.deleteOf(tenant, run);
      expect(await store.kept()).toEqual([]);
    });
  });

  test("100 MB come and go in a bounded memory", async () => {
    const chunk = bytesOf(65_536);
    const count = 1_600;
    const before = heldBytes();
    let peak = 0;
    let seen = 0;
    const watch = () => {
      if (++seen % 100 === 0) peak = Math.max(peak, heldBytes() - before);
    };
    const hash = createHash("sha256");
    async function* body() {
      for (let i = 0; i < count; i++) {
        const copy = chunk.slice();
        new DataView(copy.buffer).setUint32(0, i);
        hash.update(copy);
        watch();
        yield copy;
      }
    }
    const blob = await blobs.put(document, body());
    expect(blob).toMatchObject({ size: count * 65_536, sha256: hash.digest("hex") });
    const read = createHash("sha256");
    for await (const bytes of (await blobs.open(tenant, blob.id)).body) {
      read.update(bytes);
      watch();
    }
    expect(read.digest("hex")).toBe(blob.sha256);
    console.log(`100 MB: at most ${Math.round(peak / MB)} MB of buffers`);
    expect(peak).toBeLessThan(64 * MB);
    await blobs.delete(tenant, blob.id);
    expect(await store.kept()).toEqual([]);
  }, 120_000);
}
