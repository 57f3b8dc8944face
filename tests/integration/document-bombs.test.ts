import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { connect } from "../../engine/index.ts";
import { type PdfReading, readPdf } from "../../workflows/document-analysis/pdf/process/reader.ts";
import { documentAnalysis } from "../../workflows/index.ts";
import { madePdf, PDF, store } from "../support/analysis.ts";
import { pdfBomb } from "../support/pdf-bomb.ts";
import { missing, RUNTIMES, startFile, startProgram } from "../support/process.ts";
import { freshNamespace, redisUrl } from "../support/redis.ts";
import { ROOT, temporaryDir } from "../support/run.ts";
import { runtimePaths } from "../support/runtime-path.ts";

const GIGABYTE = 1_024;
/** Draws nothing, and takes minutes to be found out. */
const SLOW = "q Q ";
const PROGRAM = "workflows/document-analysis/pdf/process/program.ts";
const noProc = !existsSync("/proc/self/stat");

const bodyOf = (bytes: Uint8Array) => new Response(new Uint8Array(bytes)).body!;

/** The processes that this one has started and that parse a PDF. */
async function parsers(): Promise<string[]> {
  const found: string[] = [];
  for (const id of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(`/proc/${id}/${file}`, "utf8").catch(() => "");
    const [stat, args] = await Promise.all([read("stat"), read("cmdline")]);
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (parent === process.pid && args.includes(PROGRAM)) found.push(id);
  }
  return found;
}

async function failure(attempt: Promise<unknown>): Promise<Error & { code?: string }> {
  return attempt.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );
}

describe.each(RUNTIMES)("under %s", (runtime) => {
  test.skipIf(missing(runtime))(
    "a PDF of a few KB that unpacks to gigabytes fails alone: its worker goes on with all else",
    async () => {
      const [namespace, dir] = [freshNamespace(), await temporaryDir()];
      const blobs = new FsBlobStore(dir);
      const env = { REDIS_URL: redisUrl, MILLRACE_NAMESPACE: namespace, MILLRACE_BLOBS: dir };
      const worker = startFile(runtime, "cli/main.ts", { args: ["worker"], env });
      const millrace = await connect({ url: redisUrl, namespace, workflows: [documentAnalysis], blobs });
      const ended = async (id: string) => {
        for await (const _ of millrace.watch(id, { signal: AbortSignal.timeout(60_000) }));
        return millrace.runs.get(id);
      };
      try {
        await worker.line(/^worker \S+ serves /);
        const bytes = pdfBomb(3 * GIGABYTE);
        expect(bytes.length).toBeLessThan(20_000);
        const bomb = await millrace.runs.start("document-analysis", {
          document: await store(blobs, "bomb.pdf", PDF, bytes),
        });
        const other = await millrace.runs.start("document-analysis", {
          document: await store(blobs, "made.pdf", PDF, madePdf("BT /F1 12 Tf 72 700 Td (A heading) Tj ET")),
        });
        expect(await ended(other.id)).toMatchObject({ status: "completed", output: { title: "A heading" } });
        expect(await ended(bomb.id)).toMatchObject({
          status: "failed",
          steps: { extract: { status: "failed", attempt: 1 } },
          error: { code: "too_much_memory" },
        });
        const { data } = await millrace.deadLetters.list();
        expect(data).toMatchObject([{ run: bomb.id, step: "extract" }]);
        worker.kill("SIGTERM");
        expect(await worker.exited).toEqual({ code: 0, signal: null });
      } finally {
        await millrace.close();
        await worker.stop();
      }
    },
    90_000,
  );

  test.skipIf(missing(runtime) ?? noProc)(
    "the process that parses ends with the one that waits for it, in the middle of a page",
    async () => {
      const file = `${await temporaryDir()}/slow.pdf`;
      const bytes = pdfBomb(GIGABYTE, SLOW);
      await writeFile(file, bytes);
      const flags = runtime === "deno" ? "run --quiet --allow-all" : "";
      const command = `"$0" ${flags} "${ROOT}${PROGRAM}" ${bytes.length} 64000000000 $$ < "$1" & echo $!; wait`;
      const parent = startProgram("sh", ["-c", command, runtimePaths[runtime]!, file]);
      const child = Number(await parent.line(/^\d+$/));
      try {
        await parent.line(/^\{"pageCount":1/);
        parent.kill("SIGKILL");
        await parent.exited;
        await expect.poll(() => existsSync(`/proc/${child}`), { timeout: 10_000 }).toBe(false);
      } finally {
        if (existsSync(`/proc/${child}`)) process.kill(child, "SIGKILL");
      }
    },
    30_000,
  );
});

describe.skipIf(noProc)("the process that parses", () => {
  const { signal } = new AbortController();

  test("is ended when it takes too long, to open a PDF or for a page", async () => {
    const bytes = pdfBomb(64, SLOW);
    const error = await failure(readPdf(bodyOf(bytes), bytes.length, signal, 1));
    expect(error).toMatchObject({ name: "FatalError", code: "too_much_time" });
    expect(error.message).toMatch(/to be opened/);

    let reading: PdfReading | undefined;
    try {
      reading = await readPdf(bodyOf(bytes), bytes.length, signal, 4_000);
      const late = await failure(reading.pages().next());
      expect(late).toMatchObject({ name: "FatalError", code: "too_much_time" });
      expect(late.message).toMatch(/for page 1/);
    } finally {
      await reading?.close();
    }
    expect(await parsers()).toEqual([]);
  }, 30_000);

  test("is ended at once when the attempt is told to stop", async () => {
    const bytes = pdfBomb(GIGABYTE, SLOW);
    const controller = new AbortController();
    const reading = await readPdf(bodyOf(bytes), bytes.length, controller.signal);
    const page = failure(reading.pages().next());
    expect(await parsers()).toHaveLength(1);
    controller.abort(new Error("the worker stops"));
    expect(await page).toMatchObject({ message: "the worker stops" });
    await reading.close();
    expect(await parsers()).toEqual([]);
  }, 30_000);

  test("is ended when what it parses cannot be read to its end, which another attempt may", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (controller.desiredSize! > 0) controller.enqueue(new Uint8Array(100));
        controller.error(new Error("the store is away"));
      },
    });
    expect(await failure(readPdf(body, 10_000, signal))).toMatchObject({ name: "Error", message: "the store is away" });
    expect(await parsers()).toEqual([]);
  });

  test("that is killed by somebody else is a failure that another attempt may mend", async () => {
    const bytes = pdfBomb(GIGABYTE, SLOW);
    const reading = await readPdf(bodyOf(bytes), bytes.length, signal);
    const page = failure(reading.pages().next());
    const [id] = await parsers();
    process.kill(Number(id), "SIGKILL");
    expect(await page).toMatchObject({ name: "Error", message: "The process that parses PDFs ended: SIGKILL" });
    await reading.close();
  }, 30_000);

  test("knows no secrets of the worker's", async () => {
    process.env.MILLRACE_TEST_SECRET = "hush";
    const bytes = pdfBomb(GIGABYTE, SLOW);
    const reading = await readPdf(bodyOf(bytes), bytes.length, signal);
    try {
      const [id] = await parsers();
      expect(await readFile(`/proc/${id}/environ`, "utf8")).not.toContain("hush");
    } finally {
      delete process.env.MILLRACE_TEST_SECRET;
      await reading.close();
    }
  }, 30_000);
});
