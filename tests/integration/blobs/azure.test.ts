import { randomBytes } from "node:crypto";
import { ContainerSASPermissions } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { azureBlobs } from "../../../engine/blobs/azure.ts";
import { bodyOf } from "../../../engine/index.ts";
import { openBlobs } from "../../../engine/open-blobs.ts";
import { bytesOf, inChunks } from "../../support/blob-bytes.ts";
import { blobContract, type StoreUnderTest } from "../../support/blob-contract.ts";
import { directContract } from "../../support/direct-contract.ts";
import { openProxy } from "../../support/proxy.ts";
import { type AzureServer, container, rawContainer, startAzure } from "../../support/servers/objects.ts";

let server: AzureServer;
beforeAll(async () => {
  server = await startAzure();
  await raw().create();
});
afterAll(() => server.stop());

const raw = () => rawContainer(server);
const document = { tenant: "acme", name: "a", type: "text/plain" };
const placeOf = (prefix: string) => {
  const { account, endpoint, key } = server;
  return { account, container, prefix, endpoint, credential: { key } };
};

async function fresh(): Promise<StoreUnderTest> {
  const prefix = `blobs/${randomBytes(4).toString("hex")}`;
  const all = () => Array.fromAsync(raw().listBlobsFlat({ prefix, includeUncommitedBlobs: true }));
  return {
    blobs: await azureBlobs(placeOf(prefix)),
    other: await azureBlobs(placeOf(prefix)),
    kept: async () => (await all()).map(({ name }) => name),
    async keptBytes() {
      const contents = (await all()).filter(({ name }) => name.includes("/content/"));
      return contents.reduce((sum, { properties }) => sum + (properties.contentLength ?? 0), 0);
    },
  };
}

describe("in Azure", () => {
  blobContract(fresh);
  directContract(fresh, { checksSize: false });
});

test("is opened by its URL, with a key or a shared access signature", async () => {
  const url = `azure://${server.account}/${container}/by/url?endpoint=${server.endpoint}`;
  const permissions = ContainerSASPermissions.parse("rcwdl");
  const signed = await raw().generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 60_000) });
  const byKey = await openBlobs(url, { env: { AZURE_STORAGE_KEY: server.key } });
  const bySignature = await openBlobs(url, { env: { AZURE_STORAGE_SAS_TOKEN: new URL(signed).search } });
  const { id } = await bySignature.blobs.put(document, bodyOf("hello"));
  expect(await new Response((await byKey.blobs.open("acme", id)).body).text()).toBe("hello");
  await bySignature.blobs.delete("acme", id);
  expect(byKey.blobs.direct).toBeDefined();
  expect(bySignature.blobs.direct).toBeUndefined();
});

describe("a service that fails", () => {
  test("is asked again", async () => {
    await using proxy = await openProxy(new URL(server.endpoint).origin);
    const endpoint = `http://127.0.0.1:${proxy.port}/${server.account}`;
    const blobs = await azureBlobs({ ...placeOf("lost"), endpoint });
    async function* body() {
      for await (const chunk of inChunks(bytesOf(11_000_000), 1_000_000)) {
        proxy.cut();
        yield chunk;
      }
    }
    const { id, size } = await blobs.put(document, body());
    expect(await blobs.find("acme", id)).toMatchObject({ size });
    await blobs.delete("acme", id);
  });

  test("is not waited for", async () => {
    await using proxy = await openProxy(new URL(server.endpoint).origin);
    const endpoint = `http://127.0.0.1:${proxy.port}/${server.account}`;
    const { id } = await (await azureBlobs(placeOf("away"))).put(document, bodyOf("x"));
    const blobs = await azureBlobs({ ...placeOf("away"), endpoint, timeoutMs: 300 });
    proxy.set("black-hole");
    await expect(blobs.find("acme", id)).rejects.toMatchObject({ code: "unavailable" });
    await expect(blobs.put(document, bodyOf("x"))).rejects.toMatchObject({ code: "unavailable" });
  });

  test.each([
    ["a wrong key", { credential: { key: randomBytes(32).toString("base64") } }, "403"],
    ["no such container", { container: "nobodys" }, "404 ContainerNotFound"],
  ])("for good says why: %s", async (_, wrong, message) => {
    const blobs = await azureBlobs({ ...placeOf("refused"), ...wrong });
    await expect(blobs.put(document, bodyOf("x"))).rejects.toMatchObject({
      code: "blobs_refused",
      message: expect.stringContaining(message),
    });
  });
});
