import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { chunked, rawRequest, statusOf } from "../../support/raw-http.ts";

const { workflows } = gatewayWorkflows();
const LIMIT = 200_000;
let gateway: TestGateway;
/** Every operation that takes a body, with the type that it takes. */
let operations: { line: string; type: string }[];
beforeAll(async () => {
  const limits = { jsonBytes: 10_000, modelRequestBytes: 10_000, uploadBytes: LIMIT, bodyIdleMs: 500 };
  gateway = await startGateway({ workflows, worker: false, limits });
  const api = (await gateway.call("GET", "/openapi.json")).body;
  operations = Object.entries<Record<string, { requestBody?: { content: object } }>>(api.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods).flatMap(([method, { requestBody }]) => {
        const types = Object.keys(requestBody?.content ?? {});
        const type = types.includes("application/json") ? "application/json" : types[0];
        const line = `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, "greet")} HTTP/1.1`;
        return type === undefined ? [] : [{ line, type: type.replace("*/*", "text/plain") }];
      }),
  );
});
afterAll(async () => {
  expect(gateway.logged).toEqual([]);
  await eventually(gateway.blobFiles, (files) => files.length === 0);
  await gateway.close();
});

const head = ({ line, type }: { line: string; type: string }, ...more: string[]) => [
  line,
  `Content-Type: ${type === "multipart/form-data" ? `${type}; boundary=b` : type}`,
  ...["Tus-Resumable: 1.0.0", "Upload-Length: 5", "Upload-Offset: 0", ...more],
];

describe("on every route that takes a body", () => {
  test("a Content-Length beyond all limits is refused before the body comes", async () => {
    for (const operation of operations) {
      const reply = await rawRequest(gateway.port, {
        head: head(operation, "Content-Length: 99999999999"),
        chunks: ["{"],
      });
      expect([operation.line, statusOf(reply)]).toEqual([operation.line, expect.toBeOneOf([400, 404, 413, 415, 422])]);
    }
  });

  test("chunks without end are refused once they are too many", async () => {
    const chunks = Array.from({ length: 30 }, () => chunked(`"${"x".repeat(50_000)}"`));
    for (const operation of operations) {
      const reply = await rawRequest(gateway.port, { head: head(operation, "Transfer-Encoding: chunked"), chunks });
      expect([operation.line, statusOf(reply)]).toEqual([operation.line, expect.toBeOneOf([400, 404, 413, 415, 422])]);
    }
  });
});

test.each<[string, string[], string]>([
  ["two lengths that differ", ["Content-Length: 5", "Content-Length: 6"], "hello"],
  ["a length and chunks", ["Content-Length: 5", "Transfer-Encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n"],
  ["a length that is negative", ["Content-Length: -1"], "hello"],
  ["a length in hexadecimal", ["Content-Length: 0x5"], "hello"],
  ["a length with a sign", ["Content-Length: +5"], "hello"],
  ["chunks that are no chunks", ["Transfer-Encoding: chunked"], "hello\r\n"],
  ["a chunk of a negative size", ["Transfer-Encoding: chunked"], "-5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk of more bytes than there are numbers", ["Transfer-Encoding: chunked"], `${"f".repeat(20)}\r\nhello\r\n`],
  ["a chunk whose end is missing", ["Transfer-Encoding: chunked"], "5\r\nhelloX0\r\n\r\n"],
  ["chunks, written oddly", ["Transfer-Encoding: xchunked"], "5\r\nhello\r\n0\r\n\r\n"],
])("with %s nothing is stored, and nothing of it is another request", async (_, lines, body) => {
  const smuggled = "POST /v1/workflows/greet/runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
  const reply = await rawRequest(gateway.port, {
    head: ["POST /v1/documents?name=a.txt HTTP/1.1", "Content-Type: text/plain", ...lines],
    chunks: [body, `${smuggled}Content-Length: 22\r\n\r\n{"input":{"name":"a"}}`],
  });
  expect([400, 408, 415, 501]).toContain(statusOf(reply));
  expect(reply).not.toMatch(/HTTP\/1\.1 2/);
  expect((await gateway.call("GET", "/v1/runs")).body.data).toEqual([]);
});

test("a coding that is more than chunks is refused", async () => {
  const head = [
    "POST /v1/documents?name=a.txt HTTP/1.1",
    "Content-Type: text/plain",
    "Transfer-Encoding: gzip, chunked",
  ];
  expect(statusOf(await rawRequest(gateway.port, { head, chunks: ["5\r\nhello\r\n0\r\n\r\n"] }))).toBe(400);
});

describe("a form", () => {
  const type = "multipart/form-data";
  const send = (chunks: string[], afterwards: "wait" | "half-close" = "wait") =>
    rawRequest(gateway.port, {
      head: head({ line: "POST /v1/documents HTTP/1.1", type }, "Transfer-Encoding: chunked"),
      chunks: chunks.map(chunked),
      afterwards,
    });
  const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n';

  test.each<[string, string[], number]>([
    ["a header without end", ["--b\r\nX: ", ...Array.from({ length: 60 }, () => "x".repeat(1_000))], 400],
    ["a header's name without end", ["--b\r\n", ...Array.from({ length: 60 }, () => "x".repeat(1_000))], 400],
    ["headers without end", ["--b\r\n", ...Array.from({ length: 3_000 }, (_, i) => `X${i}: y\r\n`)], 400],
    ["a header that comes a byte at a time", ["--b\r\nX: ", ..."y".repeat(17_000)], 400],
    [
      "parts without end",
      Array.from({ length: 40 }, () => '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'),
      413,
    ],
    [
      "a field without end",
      [
        '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n',
        ..."x"
          .repeat(90)
          .split("")
          .map((x) => x.repeat(1_000)),
      ],
      413,
    ],
    ["a preamble without end", Array.from({ length: 60 }, () => "x".repeat(50_000)), 413],
    [
      "what comes after its end without end",
      [`${part}\r\nx\r\n--b--\r\n`, ...Array.from({ length: 60 }, () => "x".repeat(50_000))],
      413,
    ],
    ["a file without end", [`${part}\r\n`, ...Array.from({ length: 60 }, () => "x".repeat(50_000))], 413],
    ["a file twice", [`${part}\r\nx\r\n${part}\r\nx\r\n--b--\r\n`, ""], 422],
  ])("with %s is refused", async (_, chunks, status) => {
    expect(statusOf(await send(chunks))).toBe(status);
  });

  test("that stops in the middle is refused for its silence, or its end", async () => {
    expect(statusOf(await send([`${part}\r\nsome`]))).toBe(408);
    expect(statusOf(await send([`${part}\r\nsome`], "half-close"))).toBe(400);
  });
});
