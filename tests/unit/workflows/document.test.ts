import { describe, expect, test } from "vitest";
import { InvalidInputError, validate } from "../../../engine/index.ts";
import { type Line, linesOf, textOf } from "../../../workflows/document-analysis/pdf/lines.ts";
import { structureOf } from "../../../workflows/document-analysis/pdf/structure.ts";
import { decodeText, pagesOfText, plainMarkdown } from "../../../workflows/document-analysis/plain-text.ts";
import { firstHeading, headingOf, nameAsTitle, statedTitle } from "../../../workflows/document-analysis/title.ts";
import { documentAnalysis } from "../../../workflows/document-analysis/workflow.ts";
import { shipped } from "../../../workflows/index.ts";
import { pacer } from "../../../workflows/pace.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const line = (text: string, given: Partial<Line> = {}): Line => ({
  ...{ text, x: 72, y: 700, width: 400, size: 10, font: "f1" },
  ...given,
});

test("the shipped workflows are a chain of steps each", () => {
  expect(shipped.map(({ name, steps }) => [name, ...steps.map((step) => step.name)])).toEqual([
    ["document-analysis", "identify", "extract", "segment", "analyse", "report"],
    ["inference", "generate"],
    ["embeddings", "embed"],
  ]);
});

describe("the input of document-analysis", () => {
  const document = { id: "doc-1", name: "a.pdf", type: "application/pdf", size: 9, sha256: "0".repeat(64) };
  const issuesOf = async (given: object) => {
    const error = await validate(documentAnalysis.input, { document: { ...document, ...given } }, "input").then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(InvalidInputError);
    return (error as InvalidInputError).issues;
  };

  test("is a document that can be analysed", async () => {
    expect(await validate(documentAnalysis.input, { document }, "input")).toEqual({ document });
    const parameters = { ...document, type: "Text/Plain; charset=utf-8" };
    expect(await validate(documentAnalysis.input, { document: parameters }, "input")).toEqual({
      document: { ...document, type: "text/plain" },
    });
  });

  test("refuses other types in words that a person understands", async () => {
    expect(await issuesOf({ type: "image/png" })).toEqual([
      {
        path: ["document", "type"],
        message: 'A document of type "image/png" cannot be analysed: send a PDF, plain text (text/plain) or Markdown.',
      },
    ]);
  });

  test.each([
    ["id", { id: "../etc/passwd" }],
    ["size", { size: 0 }],
    ["size", { size: 1.5 }],
    ["sha256", { sha256: "abc" }],
    ["name", { name: "x".repeat(1_001) }],
  ])("refuses a bad %s", async (field, given) => {
    expect((await issuesOf(given)).map(({ path }) => path)).toEqual([["document", field]]);
  });
});

describe("the frame of a PDF", () => {
  const xref = "xref\n0 1\n0000000000 65535 f \ntrailer\n<<>>\n";
  const body = "%PDF-1.7\n1 0 obj\n<<>>\nendobj\n";
  const whole = `${body}${xref}startxref\n${body.length}\n%%EOF`;

  test.each([
    ["whole", whole],
    ["with a line break at its end", `${whole}\r\n`],
    ["with other bytes after its end", `${whole}\n<!-- served by a proxy -->${"\0".repeat(2_000)}`],
    ["with other bytes before its header", `junk\n${whole}`],
    ["with a second revision", `${whole}\n2 0 obj\n<<>>\nendobj\n${xref}startxref\n${whole.length + 21}\n%%EOF\n`],
  ])("is sound: %s", (_, text) => {
    expect(structureOf(bytes(text))).toEqual({});
  });

  test.each([
    ["no header", "hello"],
    ["cut anywhere", whole.slice(0, -1)],
    ["cut in its object table", whole.slice(0, body.length + 8)],
    ["cut in a second revision", `${whole}\n2 0 obj\n<<>>\nendo`],
    ["no offset", `${body}${xref}\n%%EOF`],
    ["an offset beyond the end", `${body}${xref}startxref\n99999\n%%EOF`],
    [
      "shorter than a linearized one promises",
      `%PDF-1.5\n1 0 obj\n<</Linearized 1/L 4096>>\nendobj\nstartxref\n0\n%%EOF\n`,
    ],
    ["only the first part of a linearized one", "%PDF-1.5\n1 0 obj\n<<>>\nendobj\nstartxref\n0\n%%EOF\n"],
  ])("is damaged: %s", (_, text) => {
    expect(structureOf(bytes(text)).damaged).toEqual(expect.any(String));
  });

  test("is doubtful where the object table is somewhere else", () => {
    const { damaged, warning } = structureOf(bytes(whole.replace(`startxref\n${body.length}`, "startxref\n3")));
    expect(damaged).toBeUndefined();
    expect(warning).toContain("object table");
  });
});

describe("a page's lines", () => {
  const item = (
    str: string,
    x: number,
    y: number,
    given: { hasEOL?: boolean; fontName?: string; size?: number } = {},
  ) => {
    const { hasEOL = false, fontName = "f1", size = 10 } = given;
    return { str, transform: [size, 0, 0, size, x, y], width: str.length * 5, fontName, hasEOL };
  };

  test("are put together from its items, without control characters", () => {
    const lines = linesOf([
      item("Hel", 72, 700),
      item("lo\u0003\u0000", 87, 700, { fontName: "f2" }),
      item("", 0, 0, { hasEOL: true }),
      item("  ", 72, 688, { hasEOL: true }),
      item("world", 72, 676),
    ]);
    expect(lines.map(({ text, font }) => [text, font])).toEqual([
      ["Hello", "mixed"],
      ["world", "f1"],
    ]);
  });

  test("become text in which paragraphs and headings stand apart", () => {
    const text = textOf([
      line("A Large Heading", { y: 700, size: 18 }),
      line("The first paragraph begins", { y: 670 }),
      line("and goes on here.", { y: 658, width: 90 }),
      line("Another one after a short line", { y: 646 }),
      line("goes on.", { y: 634 }),
      line("A third one after a gap", { y: 600 }),
    ]);
    expect(text.split("\n\n")).toEqual([
      "A Large Heading",
      "The first paragraph begins\nand goes on here.",
      "Another one after a short line\ngoes on.",
      "A third one after a gap",
    ]);
  });
});

describe("a title", () => {
  test.each([
    ["Geometrie und Topologie", "Geometrie und Topologie"],
    ["imagemagick-images\u0000", "imagemagick-images"],
    ["Microsoft Word - Annual Report", "Annual Report"],
    ["Microsoft Word - report.docx", undefined],
    ["untitled", undefined],
    ["Untitled-1", undefined],
    ["PowerPoint Presentation", undefined],
    ["document1.pdf", undefined],
    ["  ", undefined],
    ["42", undefined],
    [undefined, undefined],
  ])("in the properties: %j", (given, title) => {
    expect(statedTitle(given)).toBe(title);
  });

  test("is else the largest type of the first page", () => {
    const lines = [
      line("RFC 9999"),
      line("Einführung in die", { size: 20 }),
      line("Geometrie und Topologie", { size: 20 }),
      line("0. Auflage", { size: 12 }),
      line("Dieses Skript wurde geschrieben und geschrieben und noch einmal geschrieben."),
    ];
    expect(headingOf(lines)).toBe("Einführung in die Geometrie und Topologie");
    expect(headingOf([line("1 Your Chapter", { size: 20 }), ...lines.slice(4)])).toBe("Your Chapter");
    expect(
      headingOf([line("Contents", { size: 20 }), line("1 Foo . . . . . 2"), line("2 Bar . . . . . 3")]),
    ).toBeUndefined();
    expect(headingOf([])).toBeUndefined();
  });

  test("is else a first line that is no sentence, else the file's name", () => {
    expect(firstHeading(["", "Minutes of the meeting", "It began."])).toBe("Minutes of the meeting");
    expect(firstHeading(["It was a dark and stormy night."])).toBeUndefined();
    expect(nameAsTitle("annual report.final.pdf")).toBe("annual report.final");
    expect(nameAsTitle("C:\\files\\a.txt")).toBe("a");
    expect(nameAsTitle(".pdf")).toBe(".pdf");
    expect(nameAsTitle("")).toBe("Untitled");
  });
});

describe("plain text", () => {
  test("is read in the encoding that it is in", () => {
    expect(decodeText(bytes("\ufeffgrün"))).toEqual({ text: "grün" });
    expect(decodeText(new Uint8Array([0xff, 0xfe, 0x67, 0, 0xfc, 0])).text).toBe("gü");
    const latin = decodeText(new Uint8Array([0x67, 0x72, 0xfc, 0x6e, 0x20, 0x80]));
    expect(latin.text).toBe("grün €");
    expect(latin.warning).toContain("windows-1252");
  });

  test("has pages where form feeds are", () => {
    expect(pagesOfText("one\r\ntwo\fthree\f\n")).toEqual(["one\ntwo", "three"]);
    expect(pagesOfText("")).toEqual([""]);
  });

  test("is refused when it is too long", () => {
    expect(() => pagesOfText("x".repeat(20_000_001))).toThrow(expect.objectContaining({ code: "text_too_long" }));
    expect(() => pagesOfText("\f".repeat(6_000))).toThrow(expect.objectContaining({ code: "too_many_pages" }));
  });

  test("is what Markdown says without its marks", async () => {
    const source =
      '---\ntitle: x\n---\n# The *Title*\n\nSome **bold** and `code` with [a link](https://example.com "t") here.\n' +
      "```js\nconst hidden = 1;\n```\n> quoted ![image](a.png)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n* snake_case stays\n";
    const { text, title } = await plainMarkdown(source, pacer(new AbortController().signal));
    expect(title).toBe("The Title");
    expect(text).toBe(
      "The Title\n\nSome bold and code with a link here.\nquoted image\n\na | b\n\n1 | 2\n* snake_case stays",
    );
  });
});
