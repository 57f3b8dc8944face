import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { s3Blobs } from "../../engine/blobs/s3.ts";
import { bytesOf, sha256 } from "../support/blob-bytes.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { type S3Server, startS3 } from "../support/servers/objects.ts";

const { workflows } = gatewayWorkflows();
let server: S3Server;
let gateway: TestGateway;
beforeAll(async () => {
  server = await startS3();
  const blobs = s3Blobs({ ...server, forcePathStyle: true });
  gateway = await startGateway({ workflows, worker: false, blobs, limits: { uploadBytes: 1_000_000 } });
});
afterAll(async () => {
  await gateway.close();
  await server.stop();
});

const begin = (body: unknown) => gateway.call("POST", "/v1/documents/presigned", body);

test("a document is sent to the store itself, and completed", async () => {
  const bytes = new TextEncoder().encode("a,b\n1,2\n");
  const begun = await begin({ name: "../tables/täble.csv", size: bytes.byteLength, expiresIn: 60 });
  expect(begun).toMatchObject({ status: 201, body: { method: "PUT", url: expect.stringContaining(server.endpoint) } });
  const { id, url, method, headers, complete } = begun.body;
  expect(await gateway.call("POST", complete)).toMatchObject({
    status: 409,
    body: { type: "urn:millrace:problem:not-uploaded" },
  });
  expect((await gateway.call("GET", `/v1/documents/${id}`)).status).toBe(404);
  expect((await fetch(url, { method, headers, body: bytes })).status).toBe(200);
  const document = { id, name: "täble.csv", type: "text/csv", size: 8, sha256: sha256(bytes) };
  for (let i = 0; i < 2; i++) {
    const completed = await gateway.call("POST", complete);
    expect(completed).toMatchObject({ status: 201, body: document });
    expect(completed.headers.get("location")).toBe(`/v1/documents/${id}`);
  }
  expect((await gateway.call("GET", `/v1/documents/${id}`)).body).toBe("a,b\n1,2\n");
});

test("what is called a PDF and is none is refused, and gone", async () => {
  const { id, url, headers } = (await begin({ name: "a.pdf", size: 10 })).body;
  await fetch(url, { method: "PUT", headers, body: bytesOf(10) });
  expect(await gateway.call("POST", `/v1/documents/${id}/complete`)).toMatchObject({
    status: 415,
    body: { type: "urn:millrace:problem:not-a-pdf" },
  });
  expect((await gateway.call("POST", `/v1/documents/${id}/complete`)).status).toBe(404);
});

describe("one that cannot be is refused", () => {
  test.each([
    [{}, 422],
    [{ size: 0 }, 422],
    [{ size: 1.5 }, 422],
    [{ size: "1" }, 422],
    [{ size: 1, expiresIn: 0 }, 422],
    [{ size: 1, expiresIn: 86_401 }, 422],
    [{ size: 1, nmae: "a" }, 422],
    [{ size: 1, name: "x".repeat(256) }, 422],
    [{ size: 1_000_001 }, 413],
  ])("%j", async (body, status) => {
    expect(await begin(body)).toMatchObject({ status, body: { status } });
  });

  test("an id that nobody was given", async () => {
    for (const id of ["x", "%2e%2e", "x".repeat(65)])
      expect((await gateway.call("POST", `/v1/documents/${id}/complete`)).status).toBe(404);
  });
});
