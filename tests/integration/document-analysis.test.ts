import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { readBlob } from "../../engine/index.ts";
import type { Analysis, DocumentRef, PageText } from "../../workflows/document-analysis/shapes.ts";
import reportOn from "../../workflows/document-analysis/steps/report.ts";
import { analysed, PDF, store } from "../support/analysis.ts";
import { documentPath, noDocuments } from "../support/documents.ts";
import { temporaryDir } from "../support/run.ts";
import { stepContext } from "../support/step-context.ts";

let blobs: FsBlobStore;
beforeAll(async () => {
  blobs = new FsBlobStore(await temporaryDir());
});

async function sample(name: Parameters<typeof documentPath>[0]): Promise<DocumentRef> {
  return store(blobs, `${name}.pdf`, PDF, await readFile(documentPath(name)));
}

async function pagesOf(result: Analysis): Promise<PageText[]> {
  const bytes = await readBlob(blobs, "default", result.pages.document.id);
  return JSON.parse(new TextDecoder().decode(bytes)) as PageText[];
}

describe.skipIf(noDocuments)("a real document", () => {
  test("of 117 pages in German is read whole, page by page", async () => {
    const { result, steps } = await analysed(blobs, await sample("geotopo"));
    expect(result).toMatchObject({
      title: "Geometrie und Topologie",
      pageCount: 117,
      language: "de",
      textFound: true,
      dates: [
        { date: "2016-12-31", text: "31. Dezember 2016", page: 1 },
        { date: "2014-02-11", text: "11.02.2014", page: 109 },
      ],
      amounts: [{ value: 10, currency: "EUR", text: "10 Euro", page: 2 }],
      totals: { dates: 2, amounts: 1 },
      warnings: [],
    });
    expect(result.wordCount).toBeGreaterThan(20_000);
    expect(result.wordCount).toBeLessThan(32_000);

    expect(result.keySentences).toHaveLength(20);
    for (const { text, score, page } of result.keySentences) {
      expect(text).toMatch(/^\S.*[.!?]$/);
      expect(text).not.toMatch(/\. \. \./);
      expect(score).toBeGreaterThan(0);
      expect(page).toBeGreaterThan(1);
    }
    const order = result.keySentences.map(({ page }) => page);
    expect(order).toEqual([...order].sort((a, b) => a - b));

    const pages = await pagesOf(result);
    expect(pages.map(({ page }) => page)).toEqual(Array.from({ length: 117 }, (_, index) => index + 1));
    expect(pages[0]!.text).toContain("Geometrie und Topologie");
    expect(pages[1]!.text).toContain("Dieses Skript wurde im Wintersemester 2013/2014");
    expect(result.pages.document).toMatchObject({ name: "geotopo.pdf.pages.json", type: "application/json" });

    expect(steps.extract!.progressed).toEqual(
      Array.from({ length: 117 }, (_, index) => ({
        fraction: (index + 1) / 117,
        message: `page ${index + 1} of 117`,
      })),
    );
    for (const step of ["segment", "analyse"]) {
      const fractions = steps[step]!.progressed.map(({ fraction }) => fraction);
      expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
      expect(fractions.at(-1)).toBe(1);
    }
    expect(JSON.stringify(result).length).toBeLessThan(32 * 1024);
  });

  test.each([
    ["arabic", { title: "habibi", pageCount: 1, language: "ar", textFound: true }],
    ["googleDoc", { title: "PDF Example Document", pageCount: 1, language: "en", textFound: true }],
    ["image", { title: "Your Chapter", pageCount: 1, textFound: true }],
    ["outline", { title: "outline", pageCount: 4, language: "en", textFound: true }],
  ] as const)("%s.pdf is described", async (name, expected) => {
    const { result } = await analysed(blobs, await sample(name));
    expect(result).toMatchObject(expected);
    expect(result.warnings).toEqual([]);
    expect((await pagesOf(result)).length).toBe(expected.pageCount);
  });

  test("without text ends well and says so", async () => {
    const { result } = await analysed(blobs, await sample("imagesOnly"));
    expect(result).toMatchObject({
      ...{ pageCount: 6, language: null, textFound: false, wordCount: 0, sentenceCount: 0 },
      ...{ keySentences: [], dates: [], amounts: [] },
      warnings: [expect.stringContaining("optical character recognition")],
    });
  });

  test("leaves only its pages behind", async () => {
    const document = await sample("outline");
    const own = new FsBlobStore(await temporaryDir());
    const put = await store(own, "outline.pdf", PDF, await readBlob(blobs, "default", document.id));
    const deleted: string[] = [];
    const remove = own.delete.bind(own);
    own.delete = async (tenant, id) => {
      deleted.push((await own.find(tenant, id))!.name);
      return remove(tenant, id);
    };
    await analysed(own, put);
    expect(deleted).toEqual(["outline.pdf.sentences.json"]);
  });
});

describe("a text", () => {
  const letter =
    "Quarterly report\n\nThe quarter was the best that the company has seen so far. On 5 March 2024 the board\n" +
    "decided to pay a dividend of $1,234.56 to each holder of shares in the company.\n\fSecond page of the report.\n";

  test("has its title, its pages, a date and an amount", async () => {
    const { result } = await analysed(blobs, await store(blobs, "q1.txt", "text/plain", letter));
    expect(result).toMatchObject({
      title: "Quarterly report",
      pageCount: 2,
      language: "en",
      dates: [{ date: "2024-03-05", page: 1 }],
      amounts: [{ value: 1234.56, currency: "USD", page: 1 }],
    });
  });

  test("that says no words is a result as well", async () => {
    const { result } = await analysed(blobs, await store(blobs, "blank.txt", "text/plain", " \n \n"));
    expect(result).toMatchObject({ title: "blank", textFound: false, language: null, wordCount: 0, keySentences: [] });
    expect(result.warnings).toEqual(["The document holds no words."]);
  });

  test("in Markdown is read without its marks", async () => {
    const source = "# The plan\n\nWe **will** build [a bridge](https://example.com) over the river.\n";
    const { result } = await analysed(blobs, await store(blobs, "plan.md", "text/markdown", source));
    expect(result).toMatchObject({ title: "The plan", language: "en" });
    expect((await pagesOf(result))[0]!.text).toBe("The plan\n\nWe will build a bridge over the river.");
  });

  test("full of dates, amounts and long sentences still makes a report below 32 KB", async () => {
    const document = await store(blobs, "full.txt", "text/plain", "x");
    const { result } = await analysed(blobs, await store(blobs, "small.txt", "text/plain", letter));
    const many = <T>(count: number, item: T) => new Array<T>(count).fill(item);
    const report = await reportOn(
      {
        ...{ ...result, document, sentences: { document }, totals: { dates: 300, amounts: 300 } },
        keySentences: many(20, { page: 1, score: 1, text: "語".repeat(350) }),
        dates: many(100, { date: "2024-03-05", text: "den 5. Dezember 2024", page: 1 }),
        amounts: many(100, { value: 1_234_560_000, currency: "EUR", text: "1.234,56 Millionen Euro", page: 1 }),
      },
      stepContext(blobs),
    );
    const bytes = new TextEncoder().encode(JSON.stringify(report)).byteLength;
    expect(bytes).toBeGreaterThan(25 * 1024);
    expect(bytes).toBeLessThan(32 * 1024);
    expect(report.keySentences).toHaveLength(20);
    expect(report.totals).toEqual({ dates: 300, amounts: 300 });
  });
});
