import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesOf, sha256 } from "../support/blob-bytes.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { gatewayWorkflows } from "../support/gateway-workflows.ts";

const { workflows } = gatewayWorkflows();
const bytes = bytesOf(200_000);
const size = bytes.byteLength;
const tag = `"${sha256(bytes)}"`;
let gateway: TestGateway;
let url: string;
beforeAll(async () => {
  gateway = await startGateway({ workflows, worker: false });
  const response = await fetch(`${gateway.url}/v1/documents?name=a.bin`, { method: "POST", body: bytes });
  url = gateway.url + response.headers.get("location");
});
afterAll(() => gateway.close());

async function get(headers: Record<string, string>, method = "GET") {
  const response = await fetch(url, { method, headers: { "Accept-Encoding": "identity", ...headers } });
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: Object.fromEntries(response.headers), body };
}

describe("a range", () => {
  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=0-99", 0, 100],
    ["bytes=65530-65545", 65_530, 16],
    ["bytes=199999-", 199_999, 1],
    ["bytes=100000-999999", 100_000, 100_000],
    ["bytes=-5", 199_995, 5],
    ["bytes=-999999", 0, 200_000],
    ["Bytes=1-2", 1, 2],
  ])("%s", async (range, offset, length) => {
    const { status, headers, body } = await get({ Range: range });
    expect(status).toBe(206);
    expect(headers).toMatchObject({
      "content-range": `bytes ${offset}-${offset + length - 1}/${size}`,
      "content-length": String(length),
      "accept-ranges": "bytes",
      etag: tag,
    });
    expect(sha256(body)).toBe(sha256(bytes.subarray(offset, offset + length)));
  });

  test.each(["bytes=200000-", "bytes=200000-200001", "bytes=-0", `bytes=${"9".repeat(400)}-`])(
    "that there is not: %s",
    async (range) => {
      const { status, headers, body } = await get({ Range: range });
      expect({ status, range: headers["content-range"] }).toEqual({ status: 416, range: `bytes */${size}` });
      expect(JSON.parse(new TextDecoder().decode(body))).toMatchObject({ status: 416, title: "Range Not Satisfiable" });
    },
  );

  test.each(["bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-0,2-3", "lines=0-1", "0-1", ""])(
    "that is none, or several, gets all: %j",
    async (range) => {
      const { status, headers, body } = await get({ Range: range });
      expect(status).toBe(200);
      expect(headers).toMatchObject({ "content-length": String(size), "accept-ranges": "bytes" });
      expect(sha256(body)).toBe(sha256(bytes));
    },
  );

  test("goes with If-Range only while that is still so", async () => {
    const range = { Range: "bytes=0-9" };
    expect((await get({ ...range, "If-Range": tag })).status).toBe(206);
    for (const other of ['"other"', `W/${tag}`, "Wed, 21 Oct 2015 07:28:00 GMT"])
      expect((await get({ ...range, "If-Range": other })).status).toBe(200);
  });
});

describe("If-None-Match", () => {
  test.each([tag, `W/${tag}`, `"a", ${tag}`, "*"])("%s", async (noneMatch) => {
    for (const method of ["GET", "HEAD"]) {
      const { status, headers, body } = await get({ "If-None-Match": noneMatch, Range: "bytes=0-9" }, method);
      expect({ status, etag: headers.etag, body: body.byteLength }).toEqual({ status: 304, etag: tag, body: 0 });
    }
  });

  test("of another gets it", async () => {
    expect((await get({ "If-None-Match": '"a"' })).status).toBe(200);
    expect((await get({ "If-None-Match": '"a"', Range: "bytes=0-9" })).status).toBe(206);
  });
});

test("HEAD says what GET would, whatever range is asked for", async () => {
  const [whole, head] = [await get({}), await get({ Range: "bytes=0-9" }, "HEAD")];
  const about = Object.keys(whole.headers).filter((name) => /^(content|etag|accept|x-content)/.test(name));
  expect(about).toHaveLength(7);
  expect(head.status).toBe(200);
  for (const name of about) expect([name, head.headers[name]]).toEqual([name, whole.headers[name]]);
  expect(head.body.byteLength).toBe(0);
});

test("of a document that there is not is 404, whatever is asked", async () => {
  for (const headers of [
    ["Range", "bytes=0-1"],
    ["If-None-Match", "*"],
  ] as [string, string][])
    expect((await fetch(`${url}x`, { headers: [headers] })).status).toBe(404);
});

describe("direct uploads, of a store that takes none", () => {
  test.each([
    ["/v1/documents/presigned", { size: 10 }],
    ["/v1/documents/x/complete", undefined],
  ])("%s is refused", async (path, body) => {
    expect(await gateway.call("POST", path, body)).toMatchObject({
      status: 409,
      body: { type: "urn:millrace:problem:no-direct-uploads" },
    });
  });
});
