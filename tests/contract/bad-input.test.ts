import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";
import { chunked, rawRequest, statusOf } from "../support/raw-http.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false, limits: { jsonBytes: 10_000, bodyIdleMs: 300 } });
});
afterAll(async () => {
  // Nothing of all this made a run.
  expect((await gateway.call("GET", "/v1/runs")).body).toEqual({ data: [] });
  expect(gateway.logged).toEqual([]);
  await gateway.close();
});

const JSON_TYPE = { "Content-Type": "application/json" };

async function send(method: string, path: string, body?: BodyInit, headers: Record<string, string> = JSON_TYPE) {
  const response = await fetch(gateway.url + path, { method, headers, body });
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = await response.json();
  expect(problem).toMatchObject({
    type: expect.stringMatching(/^(about:blank|urn:millrace:problem:[a-z-]+)$/),
    title: expect.stringMatching(/./),
    status: response.status,
    detail: expect.stringMatching(/./),
  });
  return { status: response.status, problem, headers: response.headers };
}

const startPath = "/v1/workflows/greet/runs";

describe("a body is refused", () => {
  test.each([
    ["malformed JSON", '{"input":', 400],
    ["no JSON at all", "", 400],
    ["__proto__", '{"input":{"name":"a","__proto__":{}}}', 400],
    ["a key twice", '{"input":{"name":"a"},"input":{}}', 400],
    ["too deep", `{"input":${"[".repeat(100)}${"]".repeat(100)}}`, 400],
    ["too long", `{"input":{"name":"${"x".repeat(10_000)}"}}`, 413],
    ["no object", "[]", 422],
    ["no input", "{}", 422],
    ["a field that is none", '{"input":{"name":"a"},"inptu":1}', 422],
    ["an input that does not fit", '{"input":{"name":""}}', 422],
    ["metadata that is a list", '{"input":{"name":"a"},"metadata":[1]}', 422],
    ["metadata that is too long", `{"input":{"name":"a"},"metadata":{"a":"${"x".repeat(9_000)}"}}`, 422],
    ["a priority that there is not", '{"input":{"name":"a"},"priority":"urgent"}', 422],
    ["a delay that is a text", '{"input":{"name":"a"},"delay":"1s"}', 422],
    ["a delay of more than a year", '{"input":{"name":"a"},"delay":31536000001}', 422],
    ["a delay before now", '{"input":{"name":"a"},"delay":-1}', 422],
    ["a time that is none", '{"input":{"name":"a"},"runAt":"tomorrow"}', 422],
    ["a time of no zone", '{"input":{"name":"a"},"runAt":"2030-01-01T00:00:00"}', 422],
    ["a time that is far away", '{"input":{"name":"a"},"runAt":"2999-01-01T00:00:00Z"}', 422],
    ["a delay and a time", '{"input":{"name":"a"},"delay":1,"runAt":"2020-01-01T00:00:00Z"}', 422],
    ["no time to live", '{"input":{"name":"a"},"ttl":0}', 422],
    ["a deadline in part of a millisecond", '{"input":{"name":"a"},"deadline":1.5}', 422],
    ["tags that are no list", '{"input":{"name":"a"},"tags":"blue"}', 422],
    ["a tag with a blank", '{"input":{"name":"a"},"tags":["dark blue"]}', 422],
    ["nine tags", '{"input":{"name":"a"},"tags":["1","2","3","4","5","6","7","8","9"]}', 422],
    ["a deduplication of no known mode", '{"input":{"name":"a"},"dedupe":{"key":"k","mode":"once"}}', 422],
    ["a deduplication without a key", '{"input":{"name":"a"},"dedupe":{"mode":"simple"}}', 422],
    ["a throttle without a window", '{"input":{"name":"a"},"dedupe":{"key":"k","mode":"throttle"}}', 422],
    [
      "a debounce and a delay",
      '{"input":{"name":"a"},"delay":1,"dedupe":{"key":"k","mode":"debounce","window":9}}',
      422,
    ],
    [
      "a wait within its window",
      '{"input":{"name":"a"},"dedupe":{"key":"k","mode":"debounce","window":9,"maxWait":8}}',
      422,
    ],
  ])("%s", async (_, body, status) => {
    expect((await send("POST", startPath, body)).status).toBe(status);
  });

  test("and told where it does not fit", async () => {
    expect((await send("POST", startPath, '{"input":{"name":""}}')).problem.errors).toEqual([
      { path: ["name"], message: expect.stringMatching(/./) },
    ]);
    expect((await send("POST", startPath, '{"inptu":1}')).problem.errors).toEqual([
      { path: ["input"], message: "Required." },
      { path: ["inptu"], message: "There is no such field." },
    ]);
    expect((await send("POST", startPath, '{"input":1,"delay":-5}')).problem.errors).toEqual([
      { path: ["delay"], message: "A whole number of milliseconds from 0 to 31536000000." },
    ]);
    const dedupe = '{"input":1,"dedupe":{"key":"k","mode":"throttle"}}';
    expect((await send("POST", startPath, dedupe)).problem.errors).toEqual([
      { path: ["dedupe", "window"], message: "Required." },
    ]);
    const wait = '{"input":1,"dedupe":{"key":"k","mode":"debounce","window":9,"maxWait":8}}';
    expect((await send("POST", startPath, wait)).problem.errors).toEqual([
      { path: ["dedupe", "maxWait"], message: "No less than the window." },
    ]);
    const mode = '{"input":1,"dedupe":{"key":"k","mode":"once"}}';
    expect((await send("POST", startPath, mode)).problem.errors).toEqual([
      { path: ["dedupe", "mode"], message: expect.stringMatching(/throttle/) },
    ]);
  });

  test.each([
    "text/plain",
    "multipart/form-data; boundary=a",
    "application/json; charset=latin1",
    "application/jsonx",
    "json",
  ])("as %s", async (type) => {
    expect((await send("POST", startPath, '{"input":{"name":"a"}}', { "Content-Type": type })).status).toBe(415);
  });

  test("that is not UTF-8", async () => {
    const body = Uint8Array.from(Buffer.from('{"input":{"name":"\u00e9"}}', "latin1"));
    expect((await send("POST", startPath, body)).status).toBe(400);
  });

  test("that is a list where everything is optional", async () => {
    expect((await send("POST", "/v1/dead-letters/replay", "[]")).status).toBe(422);
  });

  test("when compressed", async () => {
    const headers = { ...JSON_TYPE, "Content-Encoding": "gzip" };
    expect((await send("POST", startPath, "{}", headers)).status).toBe(415);
  });
});

describe("a length is not believed", () => {
  const big = `{"input":{"name":"${"x".repeat(20_000)}"}}`;

  test("that says too much: refused before the body comes", async () => {
    const head = [`POST ${startPath} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 999999999"];
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: ["{"] }))).toBe(413);
  });

  test("that is absent: the bytes are counted", async () => {
    const head = [`POST ${startPath} HTTP/1.1`, "Content-Type: application/json", "Transfer-Encoding: chunked"];
    // The end never comes: only a count of what did come can answer.
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: [chunked(big)] }))).toBe(413);
  });

  test("that says too little: what is beyond is not read as this body", async () => {
    const head = [`POST ${startPath} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 10"];
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: ['{"input":{"name":"a"}}'] }))).toBe(400);
  });

  test("that says more than there is", async () => {
    const head = [`POST ${startPath} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 50"];
    const body = ['{"input":{"name":"a"}}'];
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: body, afterwards: "half-close" }))).toBe(400);
    expect(statusOf(await rawRequest(gateway.port, { head, chunks: body }))).toBe(408);
  });
});

describe("nothing is found", () => {
  test.each([
    ["GET", "/nothing"],
    ["GET", "/v1/runs/unknown"],
    ["GET", "/v1/runs/..%2f..%2fetc"],
    ["GET", "/v1/runs/%00"],
    ["GET", "/v1/runs/%E0%A4"],
    ["GET", `/v1/runs/${"x".repeat(65)}`],
    ["GET", `/v1/runs/${"0".repeat(32)}-7`],
    ["POST", "/v1/runs/unknown/cancel"],
    ["GET", "/v1/runs/unknown/events"],
    ["GET", "/v1/runs/a%20b/events"],
    ["GET", "/v1/documents/unknown"],
    ["GET", "/v1/documents/..%2fsecret"],
    ["POST", "/v1/documents?workflow=unknown"],
    ["POST", "/v1/dead-letters/unknown/replay"],
    ["DELETE", "/v1/dead-letters/a%2fb"],
  ])("%s %s", async (method, path) => {
    expect((await send(method, path, undefined, {})).status).toBe(404);
  });

  test.each(["unknown", "a:b", "..%2fx", "%7B1%7D"])("for a run of workflow %s", async (workflow) => {
    expect((await send("POST", `/v1/workflows/${workflow}/runs`, '{"input":{}}')).status).toBe(404);
  });
});

describe("a query is refused", () => {
  test.each([
    "/v1/runs?limit=0",
    "/v1/runs?limit=101",
    "/v1/runs?limit=ten",
    "/v1/runs?status=done",
    "/v1/runs?statsu=failed",
    "/v1/runs?tag=dark%20blue",
    "/v1/runs?tag=",
    "/v1/runs?tag=a&tag=b",
    "/v1/dead-letters?step=a&step=a",
    "/v1/runs?cursor=%00",
    "/v1/dead-letters?limit=-1",
    "/v1/dead-letters?cursor=1",
  ])("%s", async (path) => {
    const { status, problem } = await send("GET", path);
    expect(status).toBe(422);
    expect(problem.errors).toHaveLength(1);
  });
});

describe("a method is refused where there is another", () => {
  test.each([
    ["PUT", "/v1/runs", "GET, HEAD"],
    ["PUT", "/v1/runs/a", "GET, HEAD, DELETE"],
    ["GET", "/v1/inference", "POST"],
    ["PATCH", "/v1/dead-letters/a", "GET, HEAD, DELETE"],
    ["OPTIONS", "/livez", "GET, HEAD"],
  ])("%s %s", async (method, path, allow) => {
    const { status, headers } = await send(method, path);
    expect(status).toBe(405);
    expect(headers.get("allow")).toBe(allow);
  });
});
