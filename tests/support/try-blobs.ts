import { type BlobStore, bodyOf, readBlob } from "../../engine/index.ts";
import { bytesOf, inChunks, sha256 } from "./blob-bytes.ts";

const document = { tenant: "acme", name: "a.txt", type: "text/plain" };

async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* inChunks(bytes);
  throw new Error("the sender has gone");
}

function check(what: string, holds: boolean): void {
  if (!holds) throw new Error(what);
}

/** Puts blobs into a store, reads them back whole and in part, uploads one past the store, and deletes all. @throws Error */
export async function tryBlobs(blobs: BlobStore): Promise<void> {
  for (const size of [0, 1, 300_000, 11_000_000]) {
    const blob = await blobs.put(document, inChunks(bytesOf(size)));
    check(`${size} bytes`, sha256(await readBlob(blobs, "acme", blob.id)) === sha256(bytesOf(size)));
    await blobs.delete("acme", blob.id);
  }
  const failed = await blobs.put(document, failing(bytesOf(11_000_000))).catch((error: Error) => error.message);
  check("a sender that goes", failed === "the sender has gone");
  const { id } = await blobs.put(document, bodyOf("hello"));
  const { body } = await blobs.open("acme", id, { range: { offset: 1, length: 3 } });
  check("a part", (await new Response(body).text()) === "ell");
  const left = (await blobs.open("acme", id)).body.getReader();
  await left.read();
  await left.cancel();
  await blobs.delete("acme", id);
  if (blobs.direct !== undefined) {
    const upload = await blobs.direct.begin({ tenant: "acme", name: "b", size: 10 }, 60_000);
    const sent = await fetch(upload.url, { method: upload.method, headers: upload.headers, body: bytesOf(10) });
    check(`an upload by a URL: ${sent.status}`, sent.ok);
    const completed = await blobs.direct.complete("acme", upload.id, async () => "text/plain");
    check("its bytes", completed.sha256 === sha256(bytesOf(10)));
    await blobs.delete("acme", upload.id);
  }
}
