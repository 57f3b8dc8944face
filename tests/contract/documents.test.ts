import { createHash } from "node:crypto";
import { readdir, readFile, readlink } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { documentPath, noDocuments } from "../support/documents.ts";
import { answerOf, eventually, startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { chunked, rawRequest, statusOf } from "../support/raw-http.ts";

const { workflows } = gatewayWorkflows();
const LIMIT = 5_000_000;
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, limits: { uploadBytes: LIMIT, bodyIdleMs: 500 } });
});
afterAll(() => gateway.close());

function form(content: BlobPart, name: string, type?: string): FormData {
  const data = new FormData();
  data.append("file", new Blob([content], type === undefined ? {} : { type }), name);
  return data;
}
async function upload(body: BodyInit, query = "", headers: Record<string, string> = {}) {
  return answerOf(await fetch(`${gateway.url}/v1/documents${query}`, { method: "POST", body, headers }));
}
const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
const ended = (id: string) =>
  eventually(
    async () => (await gateway.call("GET", `/v1/runs/${id}`)).body,
    ({ endedAt }) => endedAt !== undefined,
  );
/** What this process has open. */
async function openFiles(): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`));
  return (await Promise.allSettled(links)).flatMap((link) => (link.status === "fulfilled" ? [link.value] : []));
}
const runs = async () => (await gateway.call("GET", "/v1/runs?workflow=measure")).body.data.length;

describe("a document", () => {
  test.each([
    ["a form", () => upload(form("a,b\n1,2\n", "täble.csv", "text/csv"))],
    ["a raw body", () => upload("a,b\n1,2\n", "?name=t%C3%A4ble.csv", { "Content-Type": "text/csv" })],
    ["a raw body that says nothing of its type", () => upload(new Blob(["a,b\n1,2\n"]), "?name=t%C3%A4ble.csv")],
    ["a form, with its name in the query", () => upload(form("a,b\n1,2\n", "x.txt"), "?name=t%C3%A4ble.csv")],
  ])("comes as %s, and goes out as it came", async (_, send) => {
    const { status, headers, body } = await send();
    expect(status).toBe(201);
    expect(body).toEqual({
      ...{ id: expect.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), name: "täble.csv", type: "text/csv", size: 8 },
      sha256: sha256("a,b\n1,2\n"),
    });
    expect(headers.get("location")).toBe(`/v1/documents/${body.id}`);
    const out = await gateway.call("GET", `/v1/documents/${body.id}`);
    expect(out).toMatchObject({ status: 200, body: "a,b\n1,2\n" });
    expect(Object.fromEntries(out.headers)).toMatchObject({
      "content-type": "text/csv",
      "content-length": "8",
      "content-disposition": `attachment; filename="t_ble.csv"; filename*=UTF-8''t%C3%A4ble.csv`,
      "x-content-type-options": "nosniff",
    });
  });

  test.skipIf(process.platform !== "linux")("that is asked for by HEAD leaves no file open", async () => {
    const { body } = await upload("hello", "?name=a.txt");
    for (let i = 0; i < 20; i++) {
      const { status, headers } = await gateway.call("HEAD", `/v1/documents/${body.id}`);
      expect([status, headers.get("content-length")]).toEqual([200, "5"]);
    }
    expect((await openFiles()).filter((path) => path.endsWith(body.id))).toEqual([]);
  });

  test("of exactly the limit is taken, and its bytes are kept", async () => {
    const content = new Uint8Array(LIMIT).map((_, i) => (i * 31 + (i >> 8)) & 0xff);
    for (const answer of [await upload(content), await upload(form(content, "a"))]) {
      expect(answer).toMatchObject({ status: 201, body: { size: LIMIT, sha256: sha256(content) } });
      const response = await fetch(`${gateway.url}/v1/documents/${answer.body.id}`);
      expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(sha256(content));
    }
  });

  test.skipIf(noDocuments)("that is a real PDF, under a name that is a path", async () => {
    const content = await readFile(documentPath("geotopo"));
    const answer = await upload(form(content, "../../etc/geo\ttopo.pdf"));
    expect(answer).toMatchObject({
      status: 201,
      body: { name: "geotopo.pdf", type: "application/pdf", size: content.byteLength, sha256: sha256(content) },
    });
  });
});

describe("a document with a workflow", () => {
  test("starts a run with it", async () => {
    const { status, headers, body } = await upload(form("hello", "a.txt"), "?workflow=measure");
    expect(status).toBe(202);
    expect(body).toMatchObject({
      ...{ workflow: "measure", status: "queued", links: { self: `/v1/runs/${body.id}` } },
      document: { name: "a.txt", type: "text/plain", size: 5, sha256: sha256("hello") },
    });
    expect(headers.get("location")).toBe(body.links.self);
    expect(await ended(body.id)).toMatchObject({
      status: "completed",
      input: { document: body.document },
      output: { bytes: 5 },
    });
  });

  test("and an Idempotency-Key is stored once", async () => {
    const headers = { "Idempotency-Key": "doc" };
    const first = await upload(form("hello", "a.txt"), "?workflow=measure", headers);
    await ended(first.body.id);
    const files = await gateway.blobFiles();
    const again = await upload("hello", "?workflow=measure&name=a.txt", headers);
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id, document: first.body.document } });
    for (const other of [
      await upload("hullo", "?workflow=measure&name=a.txt", headers),
      await upload("hello", "?workflow=measure&name=b.txt", headers),
    ])
      expect(other).toMatchObject({ status: 422, body: { type: "urn:millrace:problem:idempotency-mismatch" } });
    expect(await gateway.blobFiles()).toEqual(files);
    expect((await gateway.call("GET", `/v1/documents/${first.body.document.id}`)).body).toBe("hello");
  });
});

describe("deleting a document", () => {
  test("that was uploaded removes it, whatever runs refer to it", async () => {
    const files = await gateway.blobFiles();
    const { document, id: run } = (await upload("hello", "?workflow=measure&name=a.txt")).body;
    await ended(run);
    expect(await gateway.call("DELETE", `/v1/documents/${document.id}`)).toMatchObject({ status: 204, body: "" });
    expect(await gateway.blobFiles()).toEqual(files);
    expect((await gateway.call("DELETE", `/v1/documents/${document.id}`)).status).toBe(404);
    expect((await gateway.call("GET", `/v1/runs/${run}`)).body).toMatchObject({ status: "completed" });
  });

  test("that a run made is refused: it goes with the run", async () => {
    const files = await gateway.blobFiles();
    const started = await gateway.call("POST", "/v1/workflows/keeper/runs", { input: { text: "kept" } });
    const { output } = await ended(started.body.id);
    expect(await gateway.call("DELETE", `/v1/documents/${output.id}`)).toMatchObject({
      status: 409,
      body: { type: "urn:millrace:problem:document-of-run" },
    });
    expect((await gateway.call("GET", `/v1/documents/${output.id}`)).body).toBe("kept");
    await gateway.call("DELETE", `/v1/runs/${started.body.id}`);
    expect((await gateway.call("GET", `/v1/documents/${output.id}`)).status).toBe(404);
    expect(await gateway.blobFiles()).toEqual(files);
  });
});

describe("nothing is left of a document that is refused", () => {
  let files: string[];
  let count: number;
  beforeAll(async () => {
    files = await gateway.blobFiles();
    count = await runs();
  });
  afterEach(async () => {
    await eventually(gateway.blobFiles, (now) => now.length === files.length);
    expect(await runs()).toBe(count);
  });

  const twoFiles = form("a", "a.txt");
  twoFiles.append("file", new Blob(["b"]), "b.txt");
  const noFile = new FormData();
  noFile.append("title", "a");
  const tooLarge = new Uint8Array(LIMIT + 1);

  test.each<[string, BodyInit, string, Record<string, string>, number]>([
    ["an empty body", "", "", {}, 422],
    ["an empty file", form("", "a.txt"), "", {}, 422],
    ["a form without a file", noFile, "", {}, 422],
    ["a form with two files", twoFiles, "", {}, 422],
    ["a form that is none", "hello", "", { "Content-Type": "multipart/form-data; boundary=a" }, 400],
    ["another multipart", "hello", "", { "Content-Type": "multipart/mixed; boundary=a" }, 415],
    ["a text called .pdf", form("hello", "a.pdf"), "", {}, 415],
    ["a text declared a PDF", "hello", "?name=a", { "Content-Type": "application/pdf" }, 415],
    ["a name of 256 characters", form("hello", "x".repeat(256)), "", {}, 422],
    ["a key that is too long", "hello", "", { "Idempotency-Key": "x".repeat(256) }, 400],
    ["a query with a typo", "hello", "?wrokflow=measure", {}, 422],
    ["an unknown workflow", "hello", "?workflow=unknown", {}, 404],
    ["a workflow that takes no document", "hello", "?workflow=greet", {}, 422],
    ["a body past the limit", tooLarge, "", {}, 413],
    ["a file past the limit", form(tooLarge, "a"), "", {}, 413],
  ])("%s", async (_, body, query, headers, status) => {
    expect(await upload(body, query, headers)).toMatchObject({ status, body: { status } });
  });

  const head = (...more: string[]) => ["POST /v1/documents?workflow=measure&name=a.txt HTTP/1.1", ...more];
  const half = "hello ".repeat(20_000);
  const part = `--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n${half}`;
  const multipart = "Content-Type: multipart/form-data; boundary=B";

  test.each([
    ["raw", head("Content-Length: 500000"), half],
    ["raw, in chunks", head("Transfer-Encoding: chunked"), chunked(half)],
    ["as a form", head("Content-Length: 500000", multipart), part],
    ["as a form, in chunks", head("Transfer-Encoding: chunked", multipart), chunked(part)],
  ])("one that is cut in the middle, %s", async (_, head, chunk) => {
    const growing = eventually(gateway.blobFiles, (now) => now.length > files.length);
    const silent = rawRequest(gateway.port, { head, chunks: [chunk] });
    // It is being written while it comes in; then its sender falls silent for too long.
    await growing;
    expect(statusOf(await silent)).toBe(408);
    await rawRequest(gateway.port, { head, chunks: [chunk], afterwards: "destroy" });
    await rawRequest(gateway.port, { head, chunks: [chunk], afterwards: "half-close" });
  });

  test("one that never ends, past the limit", async () => {
    const chunks = Array.from({ length: 60 }, () => chunked("x".repeat(100_000)));
    const reply = await rawRequest(gateway.port, { head: head("Transfer-Encoding: chunked"), chunks });
    expect(statusOf(reply)).toBe(413);
  });
});
