import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { chunked, rawRequest, statusOf } from "../../support/raw-http.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
/** Every operation that takes JSON. */
let operations: { method: string; url: string }[];
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false });
  const api = (await gateway.call("GET", "/openapi.json")).body;
  operations = Object.entries<Record<string, { requestBody?: { content: object } }>>(api.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods)
        .filter(([, { requestBody }]) => "application/json" in (requestBody?.content ?? {}))
        .map(([method]) => ({ method: method.toUpperCase(), url: gateway.url + path.replaceAll(/\{\w+\}/g, "greet") })),
  );
  expect(operations.length).toBeGreaterThan(15);
});
afterAll(async () => {
  expect(gateway.logged).toEqual([]);
  expect((await gateway.call("GET", "/v1/runs")).body).toEqual({ data: [] });
  await gateway.close();
});

const keys = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i.toString(36)}":0`).join()}}`;

test.each<[string, string, number[] | null]>([
  ["is 100,000 levels deep", "[".repeat(100_000), [400]],
  ["is 65 levels deep in an object", `{"input":${"[".repeat(65)}${"]".repeat(65)}}`, [400]],
  ["has __proto__ somewhere", '{"input":{"a":[{"__proto__":{"admin":true}}]}}', [400]],
  ["has __proto__ written otherwise", '{"\\u005f_proto__":{}}', [400]],
  ["has a key twice", '{"input":{},"input":{}}', [400]],
  ["has 200,001 keys", keys(200_001), [400, 413]],
  ["has constructor and prototype as keys", '{"constructor":{"prototype":{"admin":true}}}', null],
  ["has one number of 400,000 digits", `{"a":${"9".repeat(400_000)}}`, null],
  ["is a list of 300,000 misfits", `{"tags":[${'"",'.repeat(300_000)}""],"messages":[${"0,".repeat(9)}0]}`, null],
  ["is all kinds of white space", " \n\t".repeat(10_000), [400]],
  ["is a byte order mark", "\ufeff{}", null],
])("a body that %s is a request's fault everywhere", async (_, body, statuses) => {
  for (const { method, url } of operations) {
    const response = await fetch(url, { method, headers: { "Content-Type": "application/json" }, body });
    const text = await response.text();
    const told = `${method} ${url} ${response.status} ${text.slice(0, 300)}`;
    expect(response.status, told).toBeLessThan(500);
    if (statuses !== null) expect(statuses, told).toContain(response.status);
    expect(text.length).toBeLessThan(60_000);
  }
});

test.each([
  ...[
    "text/plain",
    "application/jsonp",
    "application/json; charset=utf-16",
    "application/json/",
    "APPLICATION",
    ";",
    "/",
  ],
  ...["multipart/form-data", "__proto__", `a/${"b".repeat(4_000)}`, "application/json, text/plain"],
])("a body that is called %s is refused everywhere", async (type) => {
  for (const { method, url } of operations) {
    const response = await fetch(url, { method, headers: { "Content-Type": type }, body: "{}" });
    expect(response.status, `${method} ${url}`).toBe(415);
  }
});

test("a list of a million misfits is refused for its first", async () => {
  const body = `{"model":"millrace-extractive-1","messages":[${"{},".repeat(2_500_000)}{}]}`;
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    ...{ method: "POST", headers: { "Content-Type": "application/json" }, body },
  });
  expect(response.status).toBe(400);
});

test("what is told of a misfit is short, whatever was sent", async () => {
  const long = "x".repeat(900_000);
  for (const body of [
    { input: { name: 1 }, priority: long },
    { input: { name: 1 }, [long]: 1 },
    { input: { [long]: 1 } },
  ]) {
    const answer = await gateway.call("POST", "/v1/workflows/greet/runs", body);
    expect(answer.status).toBe(422);
    expect(JSON.stringify(answer.body).length).toBeLessThan(2_000);
  }
});

test("a body that comes a byte at a time is read like any other", async () => {
  const text = `{"input":{"name":"${"x".repeat(20_000)}"},"no":1}`;
  const chunk = Buffer.from([...text].map((char) => chunked(char)).join("") + chunked(""));
  const head = [
    "POST /v1/workflows/greet/runs HTTP/1.1",
    "Content-Type: application/json",
    "Transfer-Encoding: chunked",
  ];
  expect(statusOf(await rawRequest(gateway.port, { head, chunks: [chunk] }))).toBe(422);
});
