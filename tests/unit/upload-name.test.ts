import { describe, expect, test } from "vitest";
import { parseDisposition } from "../../gateway/upload/disposition.ts";
import { attachment, cleanName } from "../../gateway/upload/name.ts";

describe("a document's name", () => {
  test.each([
    ["report.pdf", "report.pdf"],
    ["../../etc/passwd", "passwd"],
    ["C:\\Users\\a\\b.docx", "b.docx"],
    ["a\0b\r\nX-Evil: 1.pdf", "abX-Evil: 1.pdf"],
    ["gpj.\u202efdp", "gpj.fdp"],
    ["  日本語 ☃.pdf ", "日本語 ☃.pdf"],
    ["lone \ud800.txt", "lone \ufffd.txt"],
    ["", "document"],
    ["..", "document"],
    ["a/", "document"],
    ["\0\x01", "document"],
    ["x".repeat(255), "x".repeat(255)],
  ])("%j becomes %j", (given, name) => {
    expect(cleanName(given)).toBe(name);
  });

  test("of more than 255 characters is refused", () => {
    expect(() => cleanName("x".repeat(256))).toThrow(/255/);
  });
});

describe("Content-Disposition of a reply", () => {
  test.each([
    ["report.pdf", `attachment; filename="report.pdf"; filename*=UTF-8''report.pdf`],
    ['a "b"\\%41.pdf', `attachment; filename="a _b___41.pdf"; filename*=UTF-8''a%20%22b%22%5C%2541.pdf`],
    [
      "naïve ☃ (1)'*.pdf",
      `attachment; filename="na_ve _ (1)'*.pdf"; filename*=UTF-8''na%C3%AFve%20%E2%98%83%20%281%29%27%2A.pdf`,
    ],
  ])("for %j", (name, header) => {
    expect(attachment(name)).toBe(header);
  });
});

describe("Content-Disposition of a form's part", () => {
  test.each([
    ['form-data; name="file"; filename="a.pdf"', { name: "file", filename: "a.pdf" }],
    ['form-data; name="file"; filename="日本語.pdf"', { name: "file", filename: "日本語.pdf" }],
    ['form-data; name="file"; filename="a%22b\\"c.pdf"', { name: "file", filename: 'a"b"c.pdf' }],
    ['form-data; name="file"; filename="a; name=\\"x\\".pdf"', { name: "file", filename: 'a; name="x".pdf' }],
    ["Form-Data;name=file;filename=a.pdf", { name: "file", filename: "a.pdf" }],
    [`form-data; name="file"; filename="na_ve"; filename*=UTF-8''na%C3%AFve`, { name: "file", filename: "naïve" }],
    [`form-data; name="file"; filename="plain"; filename*=UTF-8''%zz`, { name: "file", filename: "plain" }],
    ['form-data; name="title"', { name: "title", filename: undefined }],
    ['form-data; filename="a.pdf"', undefined],
    ['attachment; name="file"', undefined],
  ])("%s", (header, disposition) => {
    expect(parseDisposition(header)).toEqual(disposition);
  });
});
