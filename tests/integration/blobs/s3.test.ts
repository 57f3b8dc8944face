import { randomBytes } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { s3Blobs } from "../../../engine/blobs/s3.ts";
import { bodyOf } from "../../../engine/index.ts";
import { openBlobs } from "../../../engine/open-blobs.ts";
import { bytesOf, inChunks } from "../../support/blob-bytes.ts";
import { blobContract, type StoreUnderTest } from "../../support/blob-contract.ts";
import { directContract } from "../../support/direct-contract.ts";
import { openProxy } from "../../support/proxy.ts";
import { type S3Server, startS3 } from "../../support/servers/objects.ts";

let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server.stop());

const document = { tenant: "acme", name: "a", type: "text/plain" };
const placeOf = (prefix: string, endpoint = server.endpoint) => {
  const { bucket, credentials } = server;
  return { bucket, prefix, endpoint, credentials, forcePathStyle: true };
};

async function fresh(): Promise<StoreUnderTest> {
  const prefix = `blobs/${randomBytes(4).toString("hex")}`;
  const files = async () => {
    const dir = join(server.dir, server.bucket);
    const all = await readdir(dir, { recursive: true, withFileTypes: true });
    const paths = all.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
    return paths.filter((path) => /_S3rver_uploads/.test(path) || (path.includes(prefix) && /_object$/.test(path)));
  };
  return {
    blobs: s3Blobs(placeOf(prefix)),
    other: s3Blobs(placeOf(prefix)),
    kept: files,
    async keptBytes() {
      const contents = (await files()).filter((path) => path.includes("/content/"));
      return (await Promise.all(contents.map((path) => stat(path)))).reduce((sum, { size }) => sum + size, 0);
    },
  };
}

describe("in S3", () => {
  blobContract(fresh);
  directContract(fresh, { checksSize: true });
});

describe("a service that fails", () => {
  test("is asked again, also for a part whose answer was lost", async () => {
    await using proxy = await openProxy(server.endpoint);
    const blobs = s3Blobs({ ...placeOf("lost", `http://127.0.0.1:${proxy.port}`), timeoutMs: 5_000 });
    const bytes = bytesOf(11_000_000);
    async function* body() {
      for await (const chunk of inChunks(bytes, 1_000_000)) {
        proxy.cut();
        yield chunk;
      }
      // The answer to the last part is lost once, and comes the next time.
      proxy.set("drop-replies", "all");
      void proxy.until(({ lost }) => lost > 0).then(() => proxy.set("pass", "new"));
    }
    const { id, sha256 } = await blobs.put(document, body());
    expect(proxy.lost).toBeGreaterThan(0);
    expect(await blobs.find("acme", id)).toMatchObject({ sha256, size: bytes.byteLength });
    await blobs.delete("acme", id);
  });

  test("is not waited for", async () => {
    await using proxy = await openProxy(server.endpoint);
    const { id } = await s3Blobs(placeOf("away")).put(document, inChunks(bytesOf(3_000_000)));
    const blobs = s3Blobs({ ...placeOf("away", `http://127.0.0.1:${proxy.port}`), timeoutMs: 500 });
    const { body } = await blobs.open("acme", id);
    const reader = body.getReader();
    await reader.read();
    proxy.set("black-hole");
    const rest = async () => {
      for (;;) if ((await reader.read()).done) return;
    };
    await expect(rest()).rejects.toMatchObject({ code: "unavailable" });
    await expect(blobs.find("acme", id)).rejects.toMatchObject({ code: "unavailable" });
    await expect(blobs.put(document, bodyOf("x"))).rejects.toMatchObject({ code: "unavailable" });
  });

  test.each([
    ["a wrong key", { credentials: { accessKeyId: "S3RVER", secretAccessKey: "wrong" } }, "403 SignatureDoesNotMatch"],
    ["no such bucket", { bucket: "nobodys" }, "404 NoSuchBucket"],
  ])("for good says why: %s", async (_, wrong, message) => {
    const blobs = s3Blobs({ ...placeOf("refused"), ...wrong });
    await expect(blobs.put(document, bodyOf("x"))).rejects.toMatchObject({
      code: "blobs_refused",
      message: expect.stringContaining(message),
    });
  });
});

test("is opened by its URL", async () => {
  const { accessKeyId, secretAccessKey } = server.credentials;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const url = `s3://${server.bucket}/by/url?endpoint=${server.endpoint}&forcePathStyle=true&region=eu-north-1`;
  const { blobs, close } = await openBlobs(url, { env });
  const { id } = await blobs.put(document, bodyOf("hello"));
  expect(await new Response((await blobs.open("acme", id)).body).text()).toBe("hello");
  close();
  await expect(openBlobs(url)).rejects.toMatchObject({ code: "bad_blobs_url" });
});

test("credentials are asked for before each request", async () => {
  let asked = 0;
  const credentials = async () => {
    asked++;
    return server.credentials;
  };
  const blobs = s3Blobs({ ...placeOf("provided"), credentials });
  const { id } = await blobs.put(document, bodyOf("x"));
  const before = asked;
  await blobs.find("acme", id);
  expect(asked).toBe(before + 1);
});
