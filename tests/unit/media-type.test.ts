import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { HEAD_BYTES, mediaType } from "../../gateway/upload/media-type.ts";
import { documentPath, noDocuments } from "../support/documents.ts";

const bytes = (content: string | number[]) =>
  typeof content === "string" ? new TextEncoder().encode(content) : Uint8Array.from(content);
const png = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1];

describe("a document's type, by its content", () => {
  test.each([
    ["text, with no more said", "hello", "notes", undefined, "text/plain"],
    ["text as its name says", "a,b\n1,2", "table.CSV", undefined, "text/csv"],
    ["text as its sender says", "# Title", "notes.txt", "text/markdown; charset=utf-8", "text/markdown"],
    ["JSON", "{}", "a.json", "application/json", "application/json"],
    ["text that is declared an image", "hello", "a.txt", "image/png", "text/plain"],
    ["a text that opens like a bitmap", "BMW builds cars", "cars.txt", undefined, "text/plain"],
    ["XML by its content", '<?xml version="1.0"?><a/>', "a.html", "text/html", "application/xml"],
    ["text in UTF-8", "日本語", "a.md", undefined, "text/markdown"],
    ["a PDF under another name", "%PDF-1.7\n", "a.txt", "text/plain", "application/pdf"],
    ["a PDF behind something else", `${"x".repeat(900)}%PDF-1.7\n`, "a.pdf", undefined, "application/pdf"],
    ["an image that is declared text", png, "a.txt", "text/plain", "image/png"],
    ["text with a NUL", [65, 0, 66], "a.txt", "text/plain", "application/octet-stream"],
    ["text that is not UTF-8", [0x61, 0xff, 0x62], "a.txt", "text/plain", "application/octet-stream"],
  ])("%s", async (_, content, name, declared, type) => {
    expect(await mediaType(bytes(content), name, declared)).toBe(type);
  });

  test.each([
    ["by its name", "a.PDF", undefined],
    ["by its sender", "a", "application/pdf"],
  ])("what is called a PDF %s and is none is refused", async (_, name, declared) => {
    await expect(mediaType(bytes("hello"), name, declared)).rejects.toMatchObject({ status: 415 });
  });

  test("a character that is cut at the end of the head does not make a text binary", async () => {
    const head = bytes(`${"a".repeat(HEAD_BYTES - 1)}é`).subarray(0, HEAD_BYTES);
    expect(await mediaType(head, "a.txt", undefined)).toBe("text/plain");
  });

  test.skipIf(noDocuments)("real PDFs are", async () => {
    for (const name of ["geotopo", "password", "imagesOnly"] as const) {
      const head = new Uint8Array(await readFile(documentPath(name))).subarray(0, HEAD_BYTES);
      expect(await mediaType(head, "a.pdf", undefined)).toBe("application/pdf");
    }
  });
});
