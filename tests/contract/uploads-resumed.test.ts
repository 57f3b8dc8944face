import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bodyOf } from "../../engine/index.ts";
import { eventually, type TestGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-http.ts";
import { documentIn, metadata, OFFSET, problem, TUS, TusBench } from "../support/tus.ts";

const LIMIT = 5_000_000;
let bench: TusBench;
let gateway: TestGateway;
beforeAll(async () => {
  bench = await TusBench.start({ uploadBytes: LIMIT, bodyIdleMs: 500 });
  ({ gateway } = bench);
});
afterAll(() => gateway.close());

describe("a connection that is lost", () => {
  const head = (path: string, more: string) => [
    ...[`PATCH ${path} HTTP/1.1`, "Tus-Resumable: 1.0.0", "Upload-Offset: 0"],
    ...["Content-Type: application/offset+octet-stream", more],
  ];

  test.each(["destroy", "half-close", "wait"] as const)("keeps what came: %s", async (afterwards) => {
    const path = await bench.begun(10);
    const files = await gateway.blobFiles();
    const until = () => eventually(gateway.blobFiles, (now) => now.length > files.length);
    await rawRequest(gateway.port, { head: head(path, "Content-Length: 10"), chunks: ["hello"], until, afterwards });
    await eventually(
      () => bench.offsetOf(path),
      (offset) => offset === "5",
    );
    expect(documentIn((await bench.patch(path, 5, "world")).headers)).not.toBeNull();
  });

  test("is not waited for: who comes back is told where it is, and the one before is ended", async () => {
    const path = await bench.begun(1_000_000);
    // A client that still sends, a little at a time.
    const drip = new TransformStream<Uint8Array, Uint8Array>();
    const writer = drip.writable.getWriter();
    const stopping = new AbortController();
    const dripping = fetch(gateway.url + path, {
      method: "PATCH",
      headers: { ...TUS, ...OFFSET, "Upload-Offset": "0" },
      body: drip.readable,
      duplex: "half",
      signal: stopping.signal,
    } as RequestInit).catch((error: unknown) => error);
    const files = await gateway.blobFiles();
    const timer = setInterval(() => void writer.write(new Uint8Array(1_000)).catch(() => clearInterval(timer)), 50);
    try {
      await eventually(gateway.blobFiles, (now) => now.length > files.length);
      const offset = Number(await bench.offsetOf(path));
      expect(offset).toBeGreaterThan(0);
      expect(await bench.offsetOf(path)).toBe(String(offset));
    } finally {
      clearInterval(timer);
      stopping.abort();
      await dripping;
    }
    await bench.send("DELETE", path);
  });

  test("makes one part of two that come at once", async () => {
    const path = await bench.begun(10);
    const answers = await Promise.all([bench.patch(path, 0, "hello"), bench.patch(path, 0, "hello")]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    expect(await bench.offsetOf(path)).toBe("5");
  });
});

describe("a gateway that died", () => {
  const begin = async (more: Partial<Parameters<typeof gateway.millrace.uploads.create>[0]> = {}) => {
    const { uploads } = gateway.millrace;
    const options = { tenant: "default", length: 5, metadata: "", keptMs: 60_000, most: 100, ...more };
    const { view } = await uploads.create(options);
    const held = await uploads.hold("default", view.id, { keptMs: 60_000 });
    if (!("append" in held)) throw new Error("It is complete.");
    return { path: `/v1/uploads/${view.id}`, held };
  };

  test("before it made the document: the next request does", async () => {
    for (const ask of [(path: string) => bench.send("HEAD", path), (path: string) => bench.patch(path, 5, "")]) {
      const files = await gateway.blobFiles();
      const { path, held } = await begin();
      await held.append(bodyOf("hello"));
      await held.release();
      const { headers } = await ask(path);
      expect((await gateway.call("GET", `/v1/documents/${documentIn(headers)}`)).body).toBe("hello");
      expect(await gateway.blobFiles()).toHaveLength(files.length + 2);
    }
  });

  test("before it started the run: the next request does", async () => {
    const { path, held } = await begin({ metadata: metadata({ workflow: "measure" }) });
    await held.append(bodyOf("hello"));
    const { id, name, type, size, sha256 } = await gateway.millrace.blobs.put(
      { tenant: "default", name: "a.txt", type: "text/plain" },
      bodyOf("hello"),
    );
    await held.complete({ id, name, type, size, sha256 });
    // None of them sees the run of another, and all start the same one.
    const heads = await Promise.all(Array.from({ length: 5 }, () => bench.send("HEAD", path)));
    const again = await bench.send("HEAD", path);
    for (const { headers } of heads) {
      expect(documentIn(headers)).toBe(id);
      expect(headers.get("millrace-run")).toBe(again.headers.get("millrace-run"));
    }
    expect(again.headers.get("millrace-run")).toMatch(/^[0-9a-f]{32}-/);
  });

  test("with a part that is lost: the upload is gone, and says so", async () => {
    const { path, held } = await begin();
    await held.append(bodyOf("hello"));
    await held.release();
    await gateway.millrace.blobs.deleteOf("default", path.split("/").at(-1)!);
    expect((await bench.send("HEAD", path)).status).toBe(410);
    expect(problem(await bench.patch(path, 5, ""))).toEqual([410, "upload-gone"]);
  });
});
