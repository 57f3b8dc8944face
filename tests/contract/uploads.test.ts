import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, type TestGateway } from "../support/gateway.ts";
import { rawRequest, statusOf } from "../support/raw-http.ts";
import { documentIn, metadata, OFFSET, problem, TusBench } from "../support/tus.ts";

const LIMIT = 5_000_000;
let bench: TusBench;
let gateway: TestGateway;
beforeAll(async () => {
  bench = await TusBench.start({ uploadBytes: LIMIT, bodyIdleMs: 500 });
  ({ gateway } = bench);
});
afterAll(() => gateway.close());

const digest = (algorithm: string, content: string) => createHash(algorithm).update(content).digest("base64");

test("OPTIONS says what is spoken, to anybody and without a version", async () => {
  const response = await fetch(`${gateway.url}/v1/uploads`, { method: "OPTIONS" });
  expect(response.status).toBe(204);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "tus-resumable": "1.0.0",
    "tus-version": "1.0.0",
    "tus-extension": "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination",
    "tus-max-size": String(LIMIT),
    "tus-checksum-algorithm": "sha1,sha256",
  });
});

describe("an upload", () => {
  test("comes in parts, and becomes one document; what it has come to is told again", async () => {
    const files = await gateway.blobFiles();
    const described = metadata({ filename: "täble.csv", filetype: "text/csv", colour: "blue" });
    const path = await bench.begun(8, { "Upload-Metadata": described });
    expect(path).toMatch(/^\/v1\/uploads\/[0-9a-f]{32}$/);

    const first = await bench.patch(path, 0, "a,b\n");
    expect(first.status).toBe(204);
    expect(first.headers.get("upload-offset")).toBe("4");
    expect(Date.parse(first.headers.get("upload-expires")!)).toBeGreaterThan(Date.now() + 86_000_000);
    expect(first.headers.get("location")).toBeNull();
    const at = await bench.send("HEAD", path);
    expect([at.status, Object.fromEntries(at.headers)]).toMatchObject([
      200,
      {
        ...{ "upload-offset": "4", "upload-length": "8", "upload-metadata": described, "cache-control": "no-store" },
        "tus-resumable": "1.0.0",
      },
    ]);

    const last = await bench.patch(path, 4, "1,2\n");
    const id = documentIn(last.headers);
    expect([last.status, last.headers.get("upload-offset")]).toEqual([204, "8"]);
    expect(last.headers.get("location")).toBe(`/v1/documents/${id}`);
    for (const again of [await bench.send("HEAD", path), await bench.patch(path, 8, "")]) {
      expect(documentIn(again.headers)).toBe(id);
      expect(again.headers.get("upload-offset")).toBe("8");
    }
    expect(problem(await bench.patch(path, 4, "1,2\n"))).toEqual([409, "upload-offset"]);
    const document = await gateway.call("GET", `/v1/documents/${id}`);
    expect([document.body, document.headers.get("content-type")]).toEqual(["a,b\n1,2\n", "text/csv"]);
    expect(document.headers.get("content-disposition")).toContain("filename*=UTF-8''t%C3%A4ble.csv");
    expect(await gateway.blobFiles()).toHaveLength(files.length + 2);
    expect((await gateway.call("GET", path)).body).toEqual({
      ...{ id: path.split("/").at(-1), status: "complete", offset: 8, length: 8, expiresAt: expect.any(String) },
      metadata: { filename: "täble.csv", filetype: "text/csv", colour: "blue" },
      document: { id, name: "täble.csv", type: "text/csv", size: 8, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
  });

  test("brings its first bytes as it is created, or all of them", async () => {
    const some = await bench.create({ "Upload-Length": "8", ...OFFSET }, "hello");
    expect([some.status, some.headers.get("upload-offset")]).toEqual([201, "5"]);
    expect(some.headers.get("upload-expires")).not.toBeNull();
    const all = await bench.create({ "Upload-Length": "5", ...OFFSET }, "hello");
    expect([all.status, all.headers.get("upload-offset")]).toEqual([201, "5"]);
    expect(all.headers.get("location")).toMatch(/^\/v1\/uploads\//);
    expect((await gateway.call("GET", `/v1/documents/${documentIn(all.headers)}`)).body).toBe("hello");
  });

  test("says its length later, once", async () => {
    const { headers } = await bench.create({ "Upload-Defer-Length": "1" });
    const path = headers.get("location")!;
    expect((await bench.patch(path, 0, "hel")).status).toBe(204);
    expect(Object.fromEntries((await bench.send("HEAD", path)).headers)).toMatchObject({ "upload-defer-length": "1" });
    expect(problem(await bench.patch(path, 3, "", { "Upload-Length": "2" }))).toEqual([400, "tus-header"]);
    expect(problem(await bench.patch(path, 3, "", { "Upload-Length": String(LIMIT + 1) }))).toEqual([
      413,
      "body-too-large",
    ]);
    expect((await bench.patch(path, 3, "l", { "Upload-Length": "5" })).headers.get("upload-length")).toBe("5");
    expect(problem(await bench.patch(path, 4, "o", { "Upload-Length": "6" }))).toEqual([409, "upload-length"]);
    expect((await bench.send("HEAD", path)).headers.get("upload-defer-length")).toBeNull();
    expect(documentIn((await bench.patch(path, 4, "o")).headers)).not.toBeNull();
  });

  test("is ended by its client, and leaves nothing", async () => {
    const files = await gateway.blobFiles();
    const path = await bench.begun(8);
    await bench.patch(path, 0, "hello");
    expect(await bench.send("DELETE", path)).toMatchObject({ status: 204, body: "" });
    expect(await gateway.blobFiles()).toEqual(files);
    expect((await bench.send("HEAD", path)).status).toBe(410);
    for (const answer of [
      await bench.send("DELETE", path),
      await bench.patch(path, 5, "abc"),
      await gateway.call("GET", path),
    ])
      expect(problem(answer)).toEqual([410, "upload-gone"]);
  });

  test("that is complete may be ended: its document stays", async () => {
    const { headers } = await bench.create({ "Upload-Length": "5", ...OFFSET }, "hello");
    expect((await bench.send("DELETE", headers.get("location")!)).status).toBe(204);
    expect((await gateway.call("GET", `/v1/documents/${documentIn(headers)}`)).body).toBe("hello");
  });

  test("takes methods that a client can only tell in a header", async () => {
    const path = await bench.begun(5);
    const as = (method: string, more: Record<string, string> = {}, body?: string) =>
      bench.send("POST", path, { "X-HTTP-Method-Override": method, ...more }, body);
    expect((await as("PATCH", { ...OFFSET, "Upload-Offset": "0" }, "hel")).status).toBe(204);
    const head = await as("HEAD");
    expect([head.status, head.headers.get("upload-offset")]).toEqual([200, "3"]);
    expect((await as("DELETE")).status).toBe(204);
    for (const method of ["CONNECT", "a b", "PUT"]) expect(problem(await as(method))).toEqual([400, "method-override"]);
    const linked = await bench.send("GET", path, { "X-HTTP-Method-Override": "DELETE" });
    expect(problem(linked)).toEqual([400, "method-override"]);
  });

  test("is created once for an Idempotency-Key", async () => {
    const key = { "Idempotency-Key": "up-1", "Upload-Length": "5" };
    const first = await bench.create({ ...key, ...OFFSET }, "hel");
    const again = await bench.create({ ...key, ...OFFSET }, "hel");
    expect([again.status, again.headers.get("location")]).toEqual([201, first.headers.get("location")]);
    expect(again.headers.get("upload-offset")).toBe("3");
    expect(problem(await bench.create({ ...key, "Upload-Length": "6" }))).toEqual([422, "idempotency-mismatch"]);
    const other = await bench.create({ ...key, "x-tenant": "other" });
    expect(other.headers.get("location")).not.toBe(first.headers.get("location"));
  });
});

describe("a checksum", () => {
  test.each(["sha1", "sha256"])("by %s is held to, and what differs does not count", async (algorithm) => {
    const files = await gateway.blobFiles();
    const path = await bench.begun(10);
    const sum = (of: string) => ({ "Upload-Checksum": `${algorithm} ${digest(algorithm, of)}` });
    expect((await bench.patch(path, 0, "hello", sum("hello"))).status).toBe(204);
    expect(problem(await bench.patch(path, 5, "world", sum("World")))).toEqual([460, "checksum-mismatch"]);
    expect(await bench.offsetOf(path)).toBe("5");
    expect(await gateway.blobFiles()).toHaveLength(files.length + 3);
    expect(documentIn((await bench.patch(path, 5, "world", sum("world"))).headers)).not.toBeNull();
  });

  test("of what was cut does not count", async () => {
    const path = await bench.begun(100_000);
    const head = [`PATCH ${path} HTTP/1.1`, "Tus-Resumable: 1.0.0", "Upload-Offset: 0", "Content-Length: 100000"];
    head.push("Content-Type: application/offset+octet-stream", `Upload-Checksum: sha1 ${digest("sha1", "hello")}`);
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: ["hello"] }))).toBe(408);
    expect(await bench.offsetOf(path)).toBe("0");
  });

  test("as an upload is created says where it can go on", async () => {
    const sum = { "Upload-Checksum": `sha1 ${digest("sha1", "hullo")}` };
    const refused = await bench.create({ "Upload-Length": "5", ...OFFSET, ...sum }, "hello");
    expect(problem(refused)).toEqual([460, "checksum-mismatch"]);
    expect(await bench.offsetOf(refused.headers.get("location")!)).toBe("0");
  });
});

describe("a workflow in the metadata", () => {
  test("starts one run with the document, however often the last request is made", async () => {
    const before = (await gateway.call("GET", "/v1/runs?workflow=measure")).body.data;
    const path = await bench.begun(5, { "Upload-Metadata": metadata({ filename: "a.txt", workflow: "measure" }) });
    const last = await bench.patch(path, 0, "hello");
    const run = last.headers.get("millrace-run")!;
    const heads = await Promise.all(Array.from({ length: 5 }, () => bench.send("HEAD", path)));
    for (const { headers } of heads)
      expect([headers.get("millrace-run"), documentIn(headers)]).toEqual([run, documentIn(last.headers)]);
    const ended = await eventually(
      async () => (await gateway.call("GET", `/v1/runs/${run}`)).body,
      ({ endedAt }) => endedAt !== undefined,
    );
    expect(ended).toMatchObject({ input: { document: { name: "a.txt" } }, output: { bytes: 5 } });
    const { data } = (await gateway.call("GET", "/v1/runs?workflow=measure")).body;
    expect(data).toHaveLength(before.length + 1);
    expect((await gateway.call("GET", path)).body).toMatchObject({ run });
  });

  test("that refuses the document leaves nothing of it", async () => {
    const files = await gateway.blobFiles();
    const path = await bench.begun(5, { "Upload-Metadata": metadata({ workflow: "greet" }) });
    expect(problem(await bench.patch(path, 0, "hello"))).toEqual([422, "invalid-input"]);
    expect((await bench.send("HEAD", path)).status).toBe(410);
    expect(await gateway.blobFiles()).toEqual(files);
  });

  test("is known, and may be started, or nothing is begun", async () => {
    const of = (workflow: string) => ({ "Upload-Length": "5", "Upload-Metadata": metadata({ workflow }) });
    expect((await bench.create(of("unknown"))).status).toBe(404);
    expect((await bench.create({ ...of("measure"), "x-without": "runs:write" })).status).toBe(403);
  });
});
