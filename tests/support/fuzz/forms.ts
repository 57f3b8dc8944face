import type { Random } from "../faults/random.ts";
import { garbled, ODD_TEXTS } from "./odd.ts";
import type { FuzzRequest } from "./requests.ts";

const DISPOSITIONS = [
  ...[
    'form-data; name="file"; filename="a.txt"',
    'form-data; name="file"; filename="../../../a"',
    'form-data; name="field"',
  ],
  ...["form-data; name=file; filename*=UTF-8''%E2%82%AC", "form-data; name=file; filename*=UTF-8''%E2%8", "form-data"],
  ...[
    'attachment; name="file"',
    'form-data; name="file"; filename="a\u0000b"',
    "form-data; filename*=UTF-8''%; name=file",
  ],
];
const TYPES = ["text/plain", "application/pdf", "x", "a/b; c=\u00e9", "multipart/mixed; boundary=b"];
const BOUNDARIES = ["b", "----WebKitFormBoundaryABC", "-", "x".repeat(70), "x".repeat(71), "a b", "'"];

/** A form that uploads something, whole or not. */
export function randomForm(random: Random): FuzzRequest {
  const boundary = random.pick(BOUNDARIES);
  const parts: Buffer[] = [Buffer.from(random.next() < 0.1 ? "preamble\r\n" : "")];
  for (let count = random.pick([1, 1, 1, 2, 3, 20]); count > 0; count--) {
    const lines = [`Content-Disposition: ${random.next() < 0.6 ? DISPOSITIONS[0] : random.pick(DISPOSITIONS)}`];
    if (random.next() < 0.5) lines.push(`Content-Type: ${random.pick(TYPES)}`);
    if (random.next() < 0.1) lines.push(`X-${"y".repeat(random.pick([10, 20_000]))}: z`);
    if (random.next() < 0.05) lines.push(...Array.from({ length: 150 }, (_, i) => `H${i}: v`));
    const content = random.next() < 0.7 ? "some text" : random.pick(ODD_TEXTS).repeat(random.pick([1, 1, 90]));
    parts.push(Buffer.from(`--${boundary}\r\n${lines.join("\r\n")}\r\n\r\n${content}\r\n`));
  }
  if (random.next() < 0.9) parts.push(Buffer.from(`--${boundary}--\r\n`));
  const whole = Buffer.concat(parts);
  return {
    method: "POST",
    path: random.pick([
      "/v1/documents",
      "/v1/documents?workflow=measure",
      "/v1/documents?name=a%00b",
      "/v1/documents?workflow=any",
    ]),
    headers: { "Content-Type": `multipart/form-data; boundary=${random.next() < 0.5 ? boundary : `"${boundary}"`}` },
    body: random.next() < 0.5 ? whole : garbled(whole, random),
  };
}
