import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import type { DocumentRef } from "../../workflows/document-analysis/shapes.ts";
import extract from "../../workflows/document-analysis/steps/extract.ts";
import identify from "../../workflows/document-analysis/steps/identify.ts";
import { madePdf, PDF, store } from "../support/analysis.ts";
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

/** What a handler throws. */
async function failure(attempt: Promise<unknown>): Promise<Error & { code?: string }> {
  return attempt.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );
}

describe.skipIf(noDocuments)("a document that cannot be read fails at once and says why", () => {
  const read = async (document: DocumentRef) => {
    const ctx = stepContext(blobs);
    return extract(await identify({ document }, ctx), ctx);
  };

  test("an encrypted PDF", async () => {
    const error = await failure(read(await sample("password")));
    expect(error).toMatchObject({ name: "FatalError", code: "document_encrypted" });
    expect(error.message).toMatch(/encrypted and needs a password/);
  });

  test("a PDF that was cut, wherever that was", async () => {
    const whole = await readFile(documentPath("geotopo"));
    const cuts = [6, 100, 1_023, 2_810, 100_000, 900_000, whole.length - 200, whole.length - 20, whole.length - 5];
    for (const cut of cuts) {
      const error = await failure(read(await store(blobs, "cut.pdf", PDF, whole.subarray(0, cut))));
      expect(error, `cut at ${cut}`).toMatchObject({ name: "FatalError", code: "document_damaged" });
      expect(error.message).toMatch(/damaged or was cut off/);
    }
  });

  test("a PDF that is not linearized and was cut", async () => {
    for (const name of ["googleDoc", "image", "imagesOnly"] as const) {
      const whole = await readFile(documentPath(name));
      for (const share of [0.1, 0.5, 0.9, 0.999]) {
        const part = whole.subarray(0, Math.floor(whole.length * share));
        expect(await failure(read(await store(blobs, "cut.pdf", PDF, part)))).toMatchObject({
          code: "document_damaged",
        });
      }
    }
  });

  test("a PDF with anything in it ends, well or with a reason", async () => {
    const whole = await readFile(documentPath("outline"));
    let seed = 42;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed / 2 ** 31;
    };
    let refused = 0;
    const breakAndRead = async (round: number) => {
      const broken = new Uint8Array(whole);
      for (let flips = 0; flips < 30; flips += 1) broken[Math.floor(random() * broken.length)] = random() * 256;
      const document = await store(blobs, "broken.pdf", PDF, broken);
      await read(document).catch((error: Error) => {
        refused += 1;
        expect(error, `round ${round}`).toMatchObject({
          name: "FatalError",
          code: expect.stringMatching(/^document_/),
        });
      });
    };
    for (let round = 0; round < 40; round += 4)
      await Promise.all([0, 1, 2, 3].map((each) => breakAndRead(round + each)));
    expect(refused).toBeGreaterThan(0);
    // Each of the forty is read by a process of its own.
  }, 90_000);

  test.each([
    ["a text called .pdf", PDF, "This is only text.", "document_type", "its content is text"],
    ["a PDF called .txt", "text/plain", "%PDF-1.7\n…", "document_type", "its content is a PDF"],
    ["bytes called .txt", "text/plain", "PK\u0003\u0004\u0000\u0000", "document_type", "neither a PDF nor text"],
    ["an empty PDF", PDF, "", "document_empty", "is empty"],
    ["an empty text", "text/plain", "", "document_empty", "is empty"],
    ["nothing but a header", PDF, "%PDF-1.7\n", "document_damaged", "its end is missing"],
    ["a frame without a document", PDF, "%PDF-1.7\nxref\nstartxref\n9\n%%EOF", "document_damaged", "cannot be opened"],
  ])("%s", async (_, type, content, code, message) => {
    const error = await failure(read(await store(blobs, "some.pdf", type, content)));
    expect(error).toMatchObject({ name: "FatalError", code, message: expect.stringContaining(message) });
  });

  test("one that is not there", async () => {
    const document = { ...(await store(blobs, "a", PDF, "x")), id: "gone" };
    expect(await failure(read(document))).toMatchObject({ name: "FatalError", code: "document_missing" });
  });

  test("and leaves nothing behind", async () => {
    const own = new FsBlobStore(await temporaryDir());
    const puts: Promise<unknown>[] = [];
    const put = own.put.bind(own);
    own.put = (...given) => {
      const made = put(...given);
      puts.push(made.catch(() => undefined));
      return made;
    };
    const whole = await readFile(documentPath("password"));
    const document = await store(own, "password.pdf", PDF, whole);
    const ctx = stepContext(own);
    await failure(extract({ document, format: "pdf" }, ctx));
    expect((await Promise.all(puts)).filter((blob) => blob !== undefined)).toHaveLength(1);
    expect(ctx.progressed).toEqual([]);
  });
});

describe("a PDF that would take too much", () => {
  const read = async (pdf: string) =>
    extract({ document: await store(blobs, "made.pdf", PDF, pdf), format: "pdf" }, stepContext(blobs));

  test("is read as long as it does not", async () => {
    const result = await read(madePdf("BT /F1 12 Tf 72 700 Td (A heading) Tj ET"));
    expect(result).toMatchObject({ pageCount: 1, title: "A heading", textFound: true, warnings: [] });
  });

  test("is refused for the length of a page", async () => {
    // In type so small that it fits: what lies beside the page is not read.
    const line = `1 0 0 1 72 700 Tm (${"x".repeat(10_000)}) Tj\n`;
    const error = await failure(read(madePdf(`BT /F1 0.01 Tf ${line.repeat(101)} ET`)));
    expect(error).toMatchObject({ name: "FatalError", code: "page_too_long" });
  });

  test("is refused for the number of its pages", async () => {
    const error = await failure(read(madePdf("BT ET", 5_001)));
    expect(error).toMatchObject({ name: "FatalError", code: "too_many_pages" });
  });
});

describe.skipIf(noDocuments)("an attempt that is told to stop", () => {
  test("does so between two pages, with the signal's reason, and stores nothing", async () => {
    const controller = new AbortController();
    const own = new FsBlobStore(await temporaryDir());
    const document = await store(own, "geotopo.pdf", PDF, await readFile(documentPath("geotopo")));
    const ctx = stepContext(own, { signal: controller.signal });
    const seen: number[] = [];
    const attempt = extract(
      { document, format: "pdf" },
      {
        ...ctx,
        progress(fraction) {
          seen.push(fraction);
          if (seen.length === 5) controller.abort(new Error("the worker stops"));
        },
      },
    );
    expect((await failure(attempt)).message).toBe("the worker stops");
    expect(seen).toHaveLength(5);
  });

  test("leaves the event loop its turns meanwhile", async () => {
    const document = await sample("geotopo");
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 5);
    try {
      await extract({ document, format: "pdf" }, stepContext(blobs));
    } finally {
      clearInterval(timer);
    }
    expect(turns).toBeGreaterThan(10);
  });
});
