import { afterAll, beforeAll, expect, test } from "vitest";
import type { Scope } from "../../engine/index.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ workflows: gatewayWorkflows().workflows, worker: false, keys: true });
});
afterAll(() => gateway.close());

const ask = (path: string, init?: RequestInit) => fetch(gateway.url + path, init);
const named = async () =>
  [...(await (await ask("/")).text()).matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!);

test("the page is there for who has no key, asks nobody else, and runs no script but the gateway's", async () => {
  const page = await ask("/");
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const policy = page.headers.get("content-security-policy")!;
  expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
  expect(policy).toContain("require-trusted-types-for 'script'");
  expect(policy).not.toContain("unsafe");
  const html = await page.text();
  expect(html).not.toMatch(/https?:|<style|style=|<script>| on\w+=/);
});

test("its files are kept by browsers for good, since their names change with them", async () => {
  const paths = await named();
  expect(paths.map((path) => path.split(".").at(-1)).sort()).toEqual(["css", "js", "svg", "txt"]);
  for (const path of paths) {
    const file = await ask(path);
    expect(file.status).toBe(200);
    expect(file.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(file.headers.get("x-content-type-options")).toBe("nosniff");
    expect((await file.text()).length).toBeGreaterThan(100);
  }
});

test("who has it already is told 304, packed or not, and HEAD has no body", async () => {
  for (const path of ["/", ...(await named())])
    for (const encoding of ["gzip", "identity"]) {
      const headers = { "Accept-Encoding": encoding };
      const first = await ask(path, { headers });
      expect(first.headers.get("content-encoding")).toBe(encoding === "gzip" ? "gzip" : null);
      expect(first.headers.get("vary")).toBe("Accept-Encoding");
      await first.text();
      const etag = first.headers.get("etag")!;
      const again = await ask(path, { headers: { ...headers, "If-None-Match": etag } });
      expect(again.status).toBe(304);
      expect(again.headers.get("etag")).toBe(etag);
      const head = await ask(path, { method: "HEAD", headers });
      expect([head.status, head.headers.get("etag"), await head.text()]).toEqual([200, etag, ""]);
    }
});

test("there is no other file, and nothing is sent there", async () => {
  for (const path of ["/assets/none.js", "/assets/..%2Fapp.ts", "/assets/constructor", "/index.html"])
    expect((await ask(path)).status, path).toBe(404);
  expect((await ask("/", { method: "POST" })).status).toBe(405);
});

test("a key may ask whose it is, and what it may do", async () => {
  const asked = async (of: { tenant: string; scopes: Scope[] } | undefined, more = {}) => {
    const secret = of && (await gateway.millrace.access.keys.create({ name: "test", ...of })).secret;
    const headers = { ...(secret && { Authorization: `Bearer ${secret}` }), ...more };
    return gateway.call("GET", "/v1/caller", undefined, headers);
  };
  const mine = await asked({ tenant: "acme", scopes: ["usage:read", "runs:read"] });
  expect(mine).toMatchObject({ status: 200, body: { tenant: "acme", scopes: ["runs:read", "usage:read"] } });
  const admin = await asked({ tenant: "acme", scopes: ["admin"] }, { "Millrace-Tenant": "beta" });
  expect(admin.body.tenant).toBe("beta");
  expect(admin.body.scopes).toContain("webhooks:write");
  expect((await asked(undefined)).status).toBe(401);
});
