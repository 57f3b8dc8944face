import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../../support/gateway.ts";
import { gatewayWorkflows } from "../../support/gateway-workflows.ts";
import { rawRequest, statusOf } from "../../support/raw-http.ts";

const { workflows } = gatewayWorkflows();
let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false, keys: true });
});
afterAll(async () => {
  expect(gateway.logged).toEqual([]);
  await gateway.close();
});

const HOSTS = [
  ".1",
  "1.2.3.4.5",
  "256.256.256.256",
  "a..b",
  "xn--",
  "[::1",
  "a:99999",
  "a b",
  "a/b",
  "a@b",
  "%00",
  "",
  "-",
];

test.each(HOSTS)("a Host that is %j is a client's fault, or a name like any other", async (host) => {
  for (const path of ["/v1/runs", "/livez", "/openapi.json", "/v1/uploads", "/nothing"]) {
    const head = [`GET ${path} HTTP/1.1`, "Connection: close"];
    // `rawRequest` brings a Host of its own, and the first of two counts.
    const reply = await rawRequest(gateway.port, { head: [`${head[0]}\r\nHost: ${host}`, ...head.slice(1)] });
    expect([200, 400, 401, 404, 405]).toContain(statusOf(reply));
  }
});

test.each([
  "/\\evil",
  "//evil",
  "/%",
  "/%c0%ae%c0%ae/",
  "http://evil/",
  "http://[",
  "*",
  "/?%",
  "/#",
  `/${"a/".repeat(2_000)}`,
])("a target that is %j is a client's fault, or a path like any other", async (target) => {
  for (const method of ["GET", "OPTIONS", "DELETE", "TRACE"]) {
    const reply = await rawRequest(gateway.port, { head: [`${method} ${target} HTTP/1.1`, "Connection: close"] });
    expect([200, 204, 400, 401, 404, 405]).toContain(statusOf(reply));
  }
});
