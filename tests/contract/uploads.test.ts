import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Caller } from "../../gateway/access/caller.ts";
import { type Answer, answerOf, eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { rawRequest, statusOf } from "../support/raw-http.ts";

const { workflows } = gatewayWorkflows();
const LIMIT = 5_000_000;
const MOST = 60;
let gateway: TestGateway;
beforeAll(async () => {
  // Whose request it is says a header here, and keys elsewhere.
  const admit = async (c: { req: { header(name: string): string | undefined } }): Promise<Caller> => ({
    tenant: c.req.header("x-tenant") ?? "default",
    name: "test",
    may: (scope) => c.req.header("x-without") !== scope,
    mayWatch: () => true,
  });
  const limits = { uploadBytes: LIMIT, bodyIdleMs: 500, openUploads: MOST };
  gateway = await startGateway({ workflows, limits, door: { admit } });
});
afterAll(() => gateway.close());

const TUS = { "Tus-Resumable": "1.0.0" };
const OFFSET = { "Content-Type": "application/offset+octet-stream" };
const base64 = (text: string) => Buffer.from(text).toString("base64");
const metadata = (of: Record<string, string>) =>
  Object.entries(of)
    .map(([key, value]) => `${key} ${base64(value)}`)
    .join(",");
const digest = (algorithm: string, content: string) => createHash(algorithm).update(content).digest("base64");

async function send(method: string, path: string, headers: Record<string, string> = {}, body?: BodyInit) {
  const init = { method, headers: { ...TUS, ...headers }, ...(body === undefined ? {} : { body }) };
  return answerOf(await fetch(gateway.url + path, init));
}
const create = (headers: Record<string, string>, body?: BodyInit) => send("POST", "/v1/uploads", headers, body);
async function begun(length: number, more: Record<string, string> = {}): Promise<string> {
  const { status, headers } = await create({ "Upload-Length": String(length), ...more });
  expect(status).toBe(201);
  return headers.get("location")!;
}
const patch = (path: string, offset: number, body: BodyInit, more: Record<string, string> = {}) =>
  send("PATCH", path, { ...OFFSET, "Upload-Offset": String(offset), ...more }, body);
const offsetOf = async (path: string) => (await send("HEAD", path)).headers.get("upload-offset");
const problem = ({ status, body }: Answer) => [status, body.type?.replace("urn:millrace:problem:", "")];
const documentIn = (headers: Headers) => headers.get("millrace-document")!;

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
    const path = await begun(8, { "Upload-Metadata": described });
    expect(path).toMatch(/^\/v1\/uploads\/[0-9a-f]{32}$/);

    const first = await patch(path, 0, "a,b\n");
    expect(first.status).toBe(204);
    expect(first.headers.get("upload-offset")).toBe("4");
    expect(Date.parse(first.headers.get("upload-expires")!)).toBeGreaterThan(Date.now() + 86_000_000);
    expect(first.headers.get("location")).toBeNull();
    const at = await send("HEAD", path);
    expect([at.status, Object.fromEntries(at.headers)]).toMatchObject([
      200,
      {
        ...{ "upload-offset": "4", "upload-length": "8", "upload-metadata": described, "cache-control": "no-store" },
        "tus-resumable": "1.0.0",
      },
    ]);

    const last = await patch(path, 4, "1,2\n");
    const id = documentIn(last.headers);
    expect([last.status, last.headers.get("upload-offset")]).toEqual([204, "8"]);
    expect(last.headers.get("location")).toBe(`/v1/documents/${id}`);
    for (const again of [await send("HEAD", path), await patch(path, 8, "")]) {
      expect(documentIn(again.headers)).toBe(id);
      expect(again.headers.get("upload-offset")).toBe("8");
    }
    expect(problem(await patch(path, 4, "1,2\n"))).toEqual([409, "upload-offset"]);
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
    const some = await create({ "Upload-Length": "8", ...OFFSET }, "hello");
    expect([some.status, some.headers.get("upload-offset")]).toEqual([201, "5"]);
    expect(some.headers.get("upload-expires")).not.toBeNull();
    const all = await create({ "Upload-Length": "5", ...OFFSET }, "hello");
    expect([all.status, all.headers.get("upload-offset")]).toEqual([201, "5"]);
    expect(all.headers.get("location")).toMatch(/^\/v1\/uploads\//);
    expect((await gateway.call("GET", `/v1/documents/${documentIn(all.headers)}`)).body).toBe("hello");
  });

  test("says its length later, once", async () => {
    const { headers } = await create({ "Upload-Defer-Length": "1" });
    const path = headers.get("location")!;
    expect((await patch(path, 0, "hel")).status).toBe(204);
    expect(Object.fromEntries((await send("HEAD", path)).headers)).toMatchObject({ "upload-defer-length": "1" });
    expect(problem(await patch(path, 3, "", { "Upload-Length": "2" }))).toEqual([400, "tus-header"]);
    expect(problem(await patch(path, 3, "", { "Upload-Length": String(LIMIT + 1) }))).toEqual([413, "body-too-large"]);
    expect((await patch(path, 3, "l", { "Upload-Length": "5" })).headers.get("upload-length")).toBe("5");
    expect(problem(await patch(path, 4, "o", { "Upload-Length": "6" }))).toEqual([409, "upload-length"]);
    expect((await send("HEAD", path)).headers.get("upload-defer-length")).toBeNull();
    expect(documentIn((await patch(path, 4, "o")).headers)).not.toBeNull();
  });

  test("is ended by its client, and leaves nothing", async () => {
    const files = await gateway.blobFiles();
    const path = await begun(8);
    await patch(path, 0, "hello");
    expect(await send("DELETE", path)).toMatchObject({ status: 204, body: "" });
    expect(await gateway.blobFiles()).toEqual(files);
    expect((await send("HEAD", path)).status).toBe(410);
    for (const answer of [await send("DELETE", path), await patch(path, 5, "abc"), await gateway.call("GET", path)])
      expect(problem(answer)).toEqual([410, "upload-gone"]);
  });

  test("that is complete may be ended: its document stays", async () => {
    const { headers } = await create({ "Upload-Length": "5", ...OFFSET }, "hello");
    expect((await send("DELETE", headers.get("location")!)).status).toBe(204);
    expect((await gateway.call("GET", `/v1/documents/${documentIn(headers)}`)).body).toBe("hello");
  });

  test("takes methods that a client can only tell in a header", async () => {
    const path = await begun(5);
    const as = (method: string, more: Record<string, string> = {}, body?: string) =>
      send("POST", path, { "X-HTTP-Method-Override": method, ...more }, body);
    expect((await as("PATCH", { ...OFFSET, "Upload-Offset": "0" }, "hel")).status).toBe(204);
    const head = await as("HEAD");
    expect([head.status, head.headers.get("upload-offset")]).toEqual([200, "3"]);
    expect((await as("DELETE")).status).toBe(204);
    for (const method of ["CONNECT", "a b", "PUT"]) expect(problem(await as(method))).toEqual([400, "method-override"]);
  });

  test("is created once for an Idempotency-Key", async () => {
    const key = { "Idempotency-Key": "up-1", "Upload-Length": "5" };
    const first = await create({ ...key, ...OFFSET }, "hel");
    const again = await create({ ...key, ...OFFSET }, "hel");
    expect([again.status, again.headers.get("location")]).toEqual([201, first.headers.get("location")]);
    expect(again.headers.get("upload-offset")).toBe("3");
    expect(problem(await create({ ...key, "Upload-Length": "6" }))).toEqual([422, "idempotency-mismatch"]);
    const other = await create({ ...key, "x-tenant": "other" });
    expect(other.headers.get("location")).not.toBe(first.headers.get("location"));
  });
});

describe("a checksum", () => {
  test.each(["sha1", "sha256"])("by %s is held to, and what differs does not count", async (algorithm) => {
    const files = await gateway.blobFiles();
    const path = await begun(10);
    const sum = (of: string) => ({ "Upload-Checksum": `${algorithm} ${digest(algorithm, of)}` });
    expect((await patch(path, 0, "hello", sum("hello"))).status).toBe(204);
    expect(problem(await patch(path, 5, "world", sum("World")))).toEqual([460, "checksum-mismatch"]);
    expect(await offsetOf(path)).toBe("5");
    expect(await gateway.blobFiles()).toHaveLength(files.length + 3);
    expect(documentIn((await patch(path, 5, "world", sum("world"))).headers)).not.toBeNull();
  });

  test("of what was cut does not count", async () => {
    const path = await begun(100_000);
    const head = [`PATCH ${path} HTTP/1.1`, "Tus-Resumable: 1.0.0", "Upload-Offset: 0", "Content-Length: 100000"];
    head.push("Content-Type: application/offset+octet-stream", `Upload-Checksum: sha1 ${digest("sha1", "hello")}`);
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: ["hello"] }))).toBe(408);
    expect(await offsetOf(path)).toBe("0");
  });

  test("as an upload is created says where it can go on", async () => {
    const sum = { "Upload-Checksum": `sha1 ${digest("sha1", "hullo")}` };
    const refused = await create({ "Upload-Length": "5", ...OFFSET, ...sum }, "hello");
    expect(problem(refused)).toEqual([460, "checksum-mismatch"]);
    expect(await offsetOf(refused.headers.get("location")!)).toBe("0");
  });
});

describe("a connection that is lost", () => {
  const head = (path: string, more: string) => [
    ...[`PATCH ${path} HTTP/1.1`, "Tus-Resumable: 1.0.0", "Upload-Offset: 0"],
    ...["Content-Type: application/offset+octet-stream", more],
  ];

  test.each(["destroy", "half-close", "wait"] as const)("keeps what came: %s", async (afterwards) => {
    const path = await begun(10);
    const files = await gateway.blobFiles();
    const until = () => eventually(gateway.blobFiles, (now) => now.length > files.length);
    await rawRequest(gateway.port, { head: head(path, "Content-Length: 10"), chunks: ["hello"], until, afterwards });
    await eventually(
      () => offsetOf(path),
      (offset) => offset === "5",
    );
    expect(documentIn((await patch(path, 5, "world")).headers)).not.toBeNull();
  });

  test("is not waited for: who comes back is told where it is, and the one before is ended", async () => {
    const path = await begun(1_000_000);
    // A client that still sends, a little at a time.
    const drip = new TransformStream<Uint8Array, Uint8Array>();
    const writer = drip.writable.getWriter();
    const dripping = fetch(gateway.url + path, {
      method: "PATCH",
      headers: { ...TUS, ...OFFSET, "Upload-Offset": "0" },
      body: drip.readable,
      duplex: "half",
    } as RequestInit);
    const files = await gateway.blobFiles();
    const timer = setInterval(() => void writer.write(new Uint8Array(1_000)).catch(() => clearInterval(timer)), 50);
    try {
      await eventually(gateway.blobFiles, (now) => now.length > files.length);
      const offset = Number(await offsetOf(path));
      expect(offset).toBeGreaterThan(0);
      const settled = await dripping.then(answerOf).catch((error: unknown) => error);
      if (!(settled instanceof Error)) expect(problem(settled as Answer)).toEqual([423, "upload-busy"]);
      expect(await offsetOf(path)).toBe(String(offset));
    } finally {
      clearInterval(timer);
      await writer.abort().catch(() => {});
    }
    await send("DELETE", path);
  });

  test("makes one part of two that come at once", async () => {
    const path = await begun(10);
    const answers = await Promise.all([patch(path, 0, "hello"), patch(path, 0, "hello")]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    expect(await offsetOf(path)).toBe("5");
  });
});

describe("a workflow in the metadata", () => {
  test("starts one run with the document, however often the last request is made", async () => {
    const path = await begun(5, { "Upload-Metadata": metadata({ filename: "a.txt", workflow: "measure" }) });
    const last = await patch(path, 0, "hello");
    const run = last.headers.get("millrace-run")!;
    const heads = await Promise.all(Array.from({ length: 5 }, () => send("HEAD", path)));
    for (const { headers } of heads)
      expect([headers.get("millrace-run"), documentIn(headers)]).toEqual([run, documentIn(last.headers)]);
    const ended = await eventually(
      async () => (await gateway.call("GET", `/v1/runs/${run}`)).body,
      ({ endedAt }) => endedAt !== undefined,
    );
    expect(ended).toMatchObject({ input: { document: { name: "a.txt" } }, output: { bytes: 5 } });
    expect((await gateway.call("GET", "/v1/runs?workflow=measure")).body.data).toHaveLength(1);
    expect((await gateway.call("GET", path)).body).toMatchObject({ run });
  });

  test("that refuses the document leaves nothing of it", async () => {
    const files = await gateway.blobFiles();
    const path = await begun(5, { "Upload-Metadata": metadata({ workflow: "greet" }) });
    expect(problem(await patch(path, 0, "hello"))).toEqual([422, "invalid-input"]);
    expect((await send("HEAD", path)).status).toBe(410);
    expect(await gateway.blobFiles()).toEqual(files);
  });

  test("is known, and may be started, or nothing is begun", async () => {
    const of = (workflow: string) => ({ "Upload-Length": "5", "Upload-Metadata": metadata({ workflow }) });
    expect((await create(of("unknown"))).status).toBe(404);
    expect((await create({ ...of("measure"), "x-without": "runs:write" })).status).toBe(403);
  });
});

describe("is refused", () => {
  const length = { "Upload-Length": "5" };
  test.each<[string, Record<string, string>, [number, string]]>([
    ["no length", {}, [400, "tus-header"]],
    ["two lengths", { ...length, "Upload-Defer-Length": "1" }, [400, "tus-header"]],
    ["another deferral", { "Upload-Defer-Length": "2" }, [400, "tus-header"]],
    ["a length that is none", { "Upload-Length": "-1" }, [400, "tus-header"]],
    ["a length of half a byte", { "Upload-Length": "0.5" }, [400, "tus-header"]],
    ["an empty document", { "Upload-Length": "0" }, [422, "empty-document"]],
    ["one past the limit", { "Upload-Length": String(LIMIT + 1) }, [413, "body-too-large"]],
    ["another version", { ...length, "Tus-Resumable": "0.2.2" }, [412, "tus-version"]],
    ["metadata that are not Base64", { ...length, "Upload-Metadata": "filename a.txt" }, [400, "upload-metadata"]],
    ["metadata twice", { ...length, "Upload-Metadata": "a YQ==,a YQ==" }, [400, "upload-metadata"]],
    ["metadata without a key", { ...length, "Upload-Metadata": "a YQ==,," }, [400, "upload-metadata"]],
    ["metadata of 8,193 characters", { ...length, "Upload-Metadata": "a".repeat(8_193) }, [400, "upload-metadata"]],
    [
      "a name of 256 characters",
      { ...length, "Upload-Metadata": metadata({ filename: "x".repeat(256) }) },
      [422, "invalid-name"],
    ],
    ["another content type", { ...length, "Content-Type": "text/plain" }, [415, "content-type"]],
  ])("as it is created: %s", async (_, headers, expected) => {
    const answer = await create(headers);
    expect(problem(answer)).toEqual(expected);
    expect(answer.headers.get("tus-resumable")).toBe("1.0.0");
    if (expected[0] === 412) expect(answer.headers.get("tus-version")).toBe("1.0.0");
  });

  test.each<[string, Record<string, string>, string, [number, string]]>([
    ["no offset", { ...OFFSET }, "a", [400, "tus-header"]],
    ["an offset that is none", { ...OFFSET, "Upload-Offset": "x" }, "a", [400, "tus-header"]],
    ["an offset further on", { ...OFFSET, "Upload-Offset": "1" }, "a", [409, "upload-offset"]],
    ["another content type", { "Content-Type": "text/plain", "Upload-Offset": "0" }, "a", [415, "content-type"]],
    ["no content type", { "Upload-Offset": "0" }, "", [415, "content-type"]],
    ["another version", { ...OFFSET, "Upload-Offset": "0", "Tus-Resumable": "2" }, "a", [412, "tus-version"]],
    ["more than its length", { ...OFFSET, "Upload-Offset": "0" }, "abcdef", [413, "body-too-large"]],
    [
      "another checksum",
      { ...OFFSET, "Upload-Offset": "0", "Upload-Checksum": "md5 YQ==" },
      "a",
      [400, "upload-checksum"],
    ],
    [
      "half a checksum",
      { ...OFFSET, "Upload-Offset": "0", "Upload-Checksum": "sha1 YQ==" },
      "a",
      [400, "upload-checksum"],
    ],
    [
      "compressed bytes",
      { ...OFFSET, "Upload-Offset": "0", "Content-Encoding": "gzip" },
      "a",
      [415, "content-encoding"],
    ],
  ])("as it goes on: %s", async (_, headers, body, expected) => {
    const path = await begun(5);
    const answer = await send("PATCH", path, headers, body === "" ? undefined : body);
    expect(problem(answer)).toEqual(expected);
    expect(await offsetOf(path)).toBe("0");
    await send("DELETE", path);
  });

  test("what is not there, and what is another tenant's", async () => {
    const path = await begun(5);
    for (const there of ["/v1/uploads/none", "/v1/uploads/a%20b", path]) {
      const other = { "x-tenant": "other" };
      expect((await send("HEAD", there, other)).status).toBe(404);
      const answers = [await send("PATCH", there, { ...OFFSET, "Upload-Offset": "0", ...other }, "a")];
      answers.push(await send("DELETE", there, other), await send("GET", there, other));
      for (const answer of answers) expect(problem(answer)).toEqual([404, "not-found"]);
    }
    expect(await offsetOf(path)).toBe("0");
  });

  test("a text that is called a PDF, and leaves nothing", async () => {
    const files = await gateway.blobFiles();
    const path = await begun(5, { "Upload-Metadata": metadata({ filename: "a.pdf" }) });
    expect(problem(await patch(path, 0, "hello"))).toEqual([415, "not-a-pdf"]);
    expect((await send("HEAD", path)).status).toBe(410);
    expect(await gateway.blobFiles()).toEqual(files);
  });

  test("one more than a tenant may have open", async () => {
    const mine = { "x-tenant": "many", "Upload-Length": "5" };
    for (let i = 0; i < MOST; i++) expect((await create(mine)).status).toBe(201);
    expect(problem(await create(mine))).toEqual([429, "too-many-uploads"]);
    expect((await create({ "x-tenant": "few", "Upload-Length": "5" })).status).toBe(201);
  });

  test("another method", async () => {
    const answer = await send("PUT", "/v1/uploads", {}, "a");
    expect([answer.status, answer.headers.get("tus-resumable")]).toEqual([405, "1.0.0"]);
  });
});
