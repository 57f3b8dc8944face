import { beforeEach, describe, expect, test } from "vitest";
import type { BlobStore, DirectUpload } from "../../engine/index.ts";
import { bytesOf, inChunks, sha256 } from "./blob-bytes.ts";
import type { StoreUnderTest } from "./blob-contract.ts";

const tenant = "acme";
const MB = 1_048_576;
const typeOf = async () => "text/plain";

/** What every store does that takes uploads by a URL. @param checksSize whether its service itself refuses another size */
export function directContract(fresh: () => Promise<StoreUnderTest>, { checksSize }: { checksSize: boolean }): void {
  let store: StoreUnderTest;
  let blobs: BlobStore;
  beforeEach(async () => {
    store = await fresh();
    blobs = store.blobs;
  });
  const begin = (size: number, name = "a.txt") => blobs.direct!.begin({ tenant, name, size }, 60_000);
  const complete = (id: string, by = store.other, type = typeOf) => by.direct!.complete(tenant, id, type);
  const send = async ({ url, method, headers }: DirectUpload, body: Uint8Array<ArrayBuffer>) => {
    const response = await fetch(url, { method, headers, body });
    await response.body?.cancel();
    return response.ok;
  };

  describe("an upload by a URL", () => {
    test("becomes a document when it is completed, and not before", async () => {
      const bytes = bytesOf(6 * MB);
      const upload = await begin(bytes.byteLength);
      expect(upload).toMatchObject({ method: "PUT", expiresAt: expect.stringMatching(/Z$/) });
      expect(Date.parse(upload.expiresAt) - Date.now()).toBeGreaterThan(50_000);
      await expect(complete(upload.id)).rejects.toMatchObject({ code: "not_uploaded" });
      expect(await send(upload, bytes)).toBe(true);
      expect(await blobs.find(tenant, upload.id)).toBeUndefined();
      const heads: [number, string][] = [];
      const blob = await complete(upload.id, store.other, async (head?: Uint8Array, name?: string) => {
        heads.push([head!.byteLength, name!]);
        return "text/csv";
      });
      expect(heads).toEqual([[4_100, "a.txt"]]);
      expect(blob).toMatchObject({ id: upload.id, name: "a.txt", type: "text/csv", size: bytes.byteLength });
      expect(blob.sha256).toBe(sha256(bytes));
      const body = (await blobs.open(tenant, upload.id)).body;
      expect(sha256(new Uint8Array(await new Response(body).arrayBuffer()))).toBe(blob.sha256);
      expect(await complete(upload.id, blobs)).toEqual(blob);
      await blobs.delete(tenant, upload.id);
      expect(await store.kept()).toEqual([]);
    });

    test("shares its content with the same bytes", async () => {
      const bytes = bytesOf(5_000);
      const uploaded = await blobs.put({ tenant, name: "b", type: "text/plain" }, inChunks(bytes));
      const upload = await begin(5_000);
      await send(upload, bytes);
      await complete(upload.id);
      expect(await store.keptBytes()).toBe(5_000);
      await blobs.delete(tenant, uploaded.id);
      expect((await blobs.find(tenant, upload.id))?.sha256).toBe(sha256(bytes));
      await blobs.delete(tenant, upload.id);
      expect(await store.kept()).toEqual([]);
    });

    test("is not changed by who still has the URL", async () => {
      const upload = await begin(1_000);
      await send(upload, bytesOf(1_000, 1));
      const blob = await complete(upload.id);
      await send(upload, bytesOf(1_000, 2));
      const body = (await blobs.open(tenant, upload.id)).body;
      expect(sha256(new Uint8Array(await new Response(body).arrayBuffer()))).toBe(blob.sha256);
    });

    test("of another size than was said is refused", async () => {
      const upload = await begin(1_000);
      const accepted = await send(upload, bytesOf(1_001));
      expect(accepted).toBe(!checksSize);
      await expect(complete(upload.id)).rejects.toMatchObject({ code: checksSize ? "not_uploaded" : "upload_size" });
      if (!checksSize) expect(await store.kept()).toEqual([]);
    });

    test("of a type that is refused is gone", async () => {
      const upload = await begin(1_000);
      await send(upload, bytesOf(1_000));
      const refusal = new Error("no such type here");
      await expect(complete(upload.id, blobs, () => Promise.reject(refusal))).rejects.toBe(refusal);
      expect(await store.kept()).toEqual([]);
      await expect(complete(upload.id)).rejects.toMatchObject({ code: "not_found" });
    });

    test("is completed once by however many who ask", async () => {
      const upload = await begin(2 * MB);
      await send(upload, bytesOf(2 * MB));
      const asked = await Promise.allSettled(
        Array.from({ length: 6 }, (_, i) => complete(upload.id, i % 2 ? blobs : store.other)),
      );
      for (const each of asked)
        if (each.status === "rejected") expect(each.reason).toMatchObject({ code: "upload_busy" });
      expect(await complete(upload.id)).toMatchObject({ id: upload.id, size: 2 * MB });
      expect(await store.keptBytes()).toBe(2 * MB);
      await blobs.delete(tenant, upload.id);
      expect(await store.kept()).toEqual([]);
    });

    test("that nobody was given is not there, nor another tenant's", async () => {
      const upload = await begin(10);
      await send(upload, bytesOf(10));
      for (const id of ["x", "../x", `${upload.id}x`])
        await expect(complete(id)).rejects.toMatchObject({ code: "not_found" });
      await expect(blobs.direct!.complete("other", upload.id, typeOf)).rejects.toMatchObject({ code: "not_found" });
    });

    test("lets do nothing else", async () => {
      const upload = await begin(10);
      await send(upload, bytesOf(10));
      const other = await begin(10);
      const elsewhere = { ...upload, url: upload.url.replace(upload.id, other.id) };
      expect(await send(elsewhere, bytesOf(10))).toBe(false);
      for (const method of ["GET", "DELETE"]) {
        const response = await fetch(upload.url, { method });
        await response.body?.cancel();
        expect(response.status).toBe(403);
      }
    });
  });

  test.each([0, 999, 7 * 86_400_000 + 1, Number.NaN])("a URL is not good for %d ms", async (expiresInMs) => {
    await expect(blobs.direct!.begin({ tenant, name: "a", size: 1 }, expiresInMs)).rejects.toMatchObject({
      code: "bad_option",
    });
  });
}
