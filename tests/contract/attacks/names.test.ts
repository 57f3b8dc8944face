import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestGateway } from "../../support/gateway.ts";
import { rawRequest, statusOf } from "../../support/raw-http.ts";
import { metadata, TusBench } from "../../support/tus.ts";

let bench: TusBench;
let gateway: TestGateway;
beforeAll(async () => {
  bench = await TusBench.start({ uploadBytes: 100_000 });
  ({ gateway } = bench);
});
afterAll(() => gateway.close());

/** Names, and what people see of them; undefined if they are refused. */
const NAMES: [string, string, string | undefined][] = [
  ["climbs", "../../../etc/passwd", "passwd"],
  ["climbs as on Windows", "..\\..\\windows\\a.txt", "a.txt"],
  ["is absolute", "/etc/passwd", "passwd"],
  ["is only dots", "..", "document"],
  ["has a NUL", "a.txt\u0000.exe", "a.txt.exe"],
  ["injects a header", "a.txt\r\nSet-Cookie: a=b", "a.txtSet-Cookie: a=b"],
  ["ends its quotes", 'a"; filename="b.exe', 'a"; filename="b.exe'],
  ["is written backwards", "a\u202etxt.exe", "atxt.exe"],
  ["is 4 KB long", "x".repeat(4_096), undefined],
  ["is 4 KB long behind a path", `/${"y".repeat(4_096)}/${"x".repeat(4_096)}`, undefined],
  ["is nothing", "", "document"],
  ["has half a character", "a\ud800.txt", "a\ufffd.txt"],
];

describe.each(NAMES)("a document whose name %s", (_, name, shown) => {
  async function check(status: number, answer: unknown): Promise<void> {
    if (shown === undefined) return expect([status, answer]).toEqual([422, expect.anything()]);
    const { id } = answer as { id: string };
    const response = await fetch(`${gateway.url}/v1/documents/${id}`);
    const disposition = response.headers.get("content-disposition")!;
    await response.body?.cancel();
    expect(disposition).toMatch(/^attachment; filename="[^"\\\r\n]*"; filename\*=UTF-8''[A-Za-z0-9%._~!#$&+^`|-]*$/);
    expect(decodeURIComponent(disposition.split("''")[1]!)).toBe(shown);
    expect(response.headers.get("set-cookie")).toBeNull();
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  }

  test("in a form", async () => {
    const quoted = name.toWellFormed().replaceAll("\\", "\\\\").replaceAll('"', "%22").replaceAll("\r\n", "%0D%0A");
    // A NUL has no place in a part's header.
    if (quoted.includes("\u0000")) return;
    const body = `--b\r\nContent-Disposition: form-data; name="file"; filename="${quoted}"\r\n\r\ntext\r\n--b--\r\n`;
    const headers = { "Content-Type": "multipart/form-data; boundary=b" };
    const response = await fetch(`${gateway.url}/v1/documents`, { method: "POST", headers, body });
    const answer = (await response.json()) as { name: string };
    // A line break in a form's name stands for a space.
    if (name.includes("\r\n")) expect(answer.name).not.toMatch(/[\r\n]/);
    else await check(response.status, answer);
  });

  test("in a query", async () => {
    const query = new URLSearchParams({ name });
    const response = await fetch(`${gateway.url}/v1/documents?${query}`, { method: "POST", body: "text" });
    await check(response.status, await response.json());
  });

  test("in the metadata of tus", async () => {
    const answer = await bench.create({ "Upload-Length": "4", "Upload-Metadata": metadata({ filename: name }) });
    if (shown === undefined) return expect([400, 422]).toContain(answer.status);
    expect(answer.status).toBe(201);
    const done = await bench.patch(answer.headers.get("location")!, 0, "text");
    await check(done.status, { id: done.headers.get("millrace-document") });
  });
});

test.each([
  "filename YQ==\rX-Injected: 1",
  "filename YQ==\nX-Injected: 1",
  "filename YQ==\u0000",
  "file\u00e9name YQ==",
])("metadata that would be another header, %j, come back as none", async (value) => {
  const head = ["POST /v1/uploads HTTP/1.1", "Tus-Resumable: 1.0.0", "Upload-Length: 4", `Upload-Metadata: ${value}`];
  const reply = await rawRequest(gateway.port, { head });
  expect(reply).not.toMatch(/^x-injected/im);
  if (/X-Injected/.test(value)) return;
  expect(statusOf(reply)).toBe(400);
});

test.each([
  "..",
  "..%2f..%2fetc%2fpasswd",
  "%00",
  "a%00",
  "%2e%2e%5c",
  `${"a".repeat(4_096)}`,
  "a%0d%0aX-Injected:%201",
  "%ff%fe",
])("an id that is a path, %s, is of nothing", async (id) => {
  for (const what of ["documents", "uploads", "runs"])
    for (const method of ["GET", "DELETE"]) {
      const head = [`${method} /v1/${what}/${id} HTTP/1.1`, "Tus-Resumable: 1.0.0"];
      const reply = await rawRequest(gateway.port, { head });
      expect([what, method, statusOf(reply)]).toEqual([what, method, expect.toBeOneOf([404, 405])]);
      expect(reply).not.toMatch(/^x-injected/im);
    }
});
