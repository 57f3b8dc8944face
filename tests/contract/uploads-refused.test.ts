import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestGateway } from "../support/gateway.ts";
import { metadata, OFFSET, problem, TusBench } from "../support/tus.ts";

const LIMIT = 5_000_000;
const MOST = 60;
let bench: TusBench;
let gateway: TestGateway;
beforeAll(async () => {
  bench = await TusBench.start({ uploadBytes: LIMIT, bodyIdleMs: 500, openUploads: MOST });
  ({ gateway } = bench);
});
afterAll(() => gateway.close());

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
    const answer = await bench.create(headers);
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
    const path = await bench.begun(5);
    const answer = await bench.send("PATCH", path, headers, body === "" ? undefined : body);
    expect(problem(answer)).toEqual(expected);
    expect(await bench.offsetOf(path)).toBe("0");
    await bench.send("DELETE", path);
  });

  test("what is not there, and what is another tenant's", async () => {
    const path = await bench.begun(5);
    for (const there of ["/v1/uploads/none", "/v1/uploads/a%20b", path]) {
      const other = { "x-tenant": "other" };
      expect((await bench.send("HEAD", there, other)).status).toBe(404);
      const answers = [await bench.send("PATCH", there, { ...OFFSET, "Upload-Offset": "0", ...other }, "a")];
      answers.push(await bench.send("DELETE", there, other), await bench.send("GET", there, other));
      for (const answer of answers) expect(problem(answer)).toEqual([404, "not-found"]);
    }
    expect(await bench.offsetOf(path)).toBe("0");
  });

  test("a text that is called a PDF, and leaves nothing", async () => {
    const files = await gateway.blobFiles();
    const path = await bench.begun(5, { "Upload-Metadata": metadata({ filename: "a.pdf" }) });
    expect(problem(await bench.patch(path, 0, "hello"))).toEqual([415, "not-a-pdf"]);
    expect((await bench.send("HEAD", path)).status).toBe(410);
    expect(await gateway.blobFiles()).toEqual(files);
  });

  test("one more than a tenant may have open", async () => {
    const mine = { "x-tenant": "many", "Upload-Length": "5" };
    for (let i = 0; i < MOST; i++) expect((await bench.create(mine)).status).toBe(201);
    const refused = await bench.create(mine);
    expect([...problem(refused), refused.headers.get("retry-after")]).toEqual([429, "too-many-uploads", "60"]);
    expect((await bench.create({ "x-tenant": "few", "Upload-Length": "5" })).status).toBe(201);
  });

  test("another method", async () => {
    const answer = await bench.send("PUT", "/v1/uploads", {}, "a");
    expect([answer.status, answer.headers.get("tus-resumable")]).toEqual([405, "1.0.0"]);
  });
});
